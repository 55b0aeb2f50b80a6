"""A SIP client over TLS on Python's ssl, with its records and its socket in our own hands.

The session runs over memory buffers, so a test decides where records end, where TCP segments end, and how the
connection dies: with close_notify, with a bare FIN, or with a reset.
"""
import select
import socket
import ssl
import struct
import time

from .messages import Framer, Message

SECONDS = 20.0  # Long for a healthy edge, bearable under sanitizers; every wait ends as soon as it can.


class Closed(Exception):
    """The edge ended the connection. `alert` is OpenSSL's name of the alert, if there was one."""

    def __init__(self, alert=None):
        super().__init__(alert or "end of stream")
        self.alert = alert


class Silence(Exception):
    """Nothing came in time."""


def context(authority, certificate=None, version=None):
    """A client context that trusts `authority`, shows `certificate` and speaks one version ("1.2", "1.3") or both."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(authority.path)
    if certificate is not None:
        made.load_cert_chain(certificate.chain, certificate.key)
    if version is not None:
        made.minimum_version = made.maximum_version = {
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    return made


def server_context(authority, certificate):
    """A server context that shows `certificate` and wants one of `authority`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_verify_locations(authority.path)
    made.load_cert_chain(certificate.chain, certificate.key)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def hello(tls_context, server_name="edge.example"):
    """A ClientHello as bytes."""
    outgoing = ssl.MemoryBIO()
    try:
        tls_context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


class TlsClient:
    """One connection. Opens and handshakes when made; use it in a `with` block."""

    def __init__(self, port, tls_context, session=None, server_name="edge.example", host="127.0.0.1", source=None,
                 receive_buffer=None, handshake=True):
        plain = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        if source is not None:
            plain.bind((source, 0))
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(SECONDS)
        plain.connect((host, port))
        self._begin(plain, handshake, tls_context, server_hostname=server_name, session=session)

    def _begin(self, connected, handshake, tls_context, **side):
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls_context.wrap_bio(self._incoming, self._outgoing, **side)
        self.own_uri = "sip:alice@a.example"  # What this peer may write in From; tests with other names set it.
        self._framer = Framer()
        self.ended = None  # How the edge ended it: the Closed that later reads repeat.
        if handshake:
            try:
                self.handshake()
            except BaseException:
                self.socket.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    @property
    def session(self):
        """The session to resume later. In TLS 1.3 it exists once something was read after the handshake."""
        return self.tls.session

    @property
    def reused(self):
        return self.tls.session_reused

    @property
    def version(self):
        return self.tls.version()

    def handshake(self, one_byte_at_a_time=False):
        """Runs the handshake, on request with every byte of ours in a TCP segment of its own."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush(one_byte_at_a_time)
                self._fill(deadline)
            except ssl.SSLError as error:
                self._flush_quietly()
                raise Closed(error.reason) from error
        self._flush(one_byte_at_a_time)

    def client_hello(self):
        """The first flight as bytes, not sent."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def sealed(self, data):
        """`data` as one record (one per 16 kB), not sent: for tests that cut ciphertext."""
        self.tls.write(data)
        return self._outgoing.read()

    def send(self, data):
        """Sends `data` in one write: one record up to 16 kB."""
        data = getattr(data, "bytes", data)
        if not data:
            return
        view = memoryview(data)
        while len(view):
            view = view[self.tls.write(view):]
        self._flush()

    def send_pieces(self, pieces):
        """Every piece is a record of its own and a send of its own."""
        for piece in pieces:
            self.send(piece)

    def send_ciphertext(self, data):
        self.socket.sendall(data)

    def receive(self, timeout=SECONDS):
        """The next message. Raises Closed when the edge ended the connection first, Silence at the deadline."""
        deadline = time.monotonic() + timeout
        while True:
            raw = self._framer.next()
            if raw is not None:
                return Message(raw)
            self._read_more(deadline)

    def receive_final(self, call_id=None, timeout=SECONDS):
        """The next final response, passing over provisional ones; checks whose it is if told."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.receive(max(0.0, deadline - time.monotonic()))
            if message.is_response and message.status >= 200:
                if call_id is not None and message.call_id != call_id:
                    raise AssertionError("%r is not the answer to %s" % (message, call_id))
                return message

    def exchange(self, wanted, timeout=SECONDS):
        """Sends a request and returns its final response."""
        self.send(wanted)
        return self.receive_final(wanted.call_id, timeout)

    def receive_keep_alive(self, count=1, timeout=SECONDS):
        """Waits for that many CRLF in answer to pings and forgets them."""
        deadline = time.monotonic() + timeout
        while self._framer.keep_alives < count:
            if self._framer.next() is not None:
                raise AssertionError("a message came where a keep-alive answer was due")
            if self._framer.keep_alives < count:
                self._read_more(deadline)
        self._framer.keep_alives -= count

    def unread(self):
        """Bytes that came and belong to no whole message yet."""
        return self._framer.unread

    def wait_closed(self, timeout=SECONDS):
        """Waits for the end of the connection; anything else that comes first is returned as messages."""
        deadline = time.monotonic() + timeout
        messages = []
        while True:
            try:
                messages.append(self.receive(max(0.0, deadline - time.monotonic())))
            except Closed as closed:
                self.ended = closed
                return messages

    def is_open(self):
        """Whether the connection still answers, by a ping (RFC 5626 §4.4.1)."""
        try:
            self.send(b"\r\n\r\n")
            self.receive_keep_alive()
            return True
        except (Closed, OSError, ssl.SSLError):
            return False

    def close(self):
        """close_notify, then FIN."""
        try:
            self.tls.unwrap()
        except (ssl.SSLError, ValueError):
            pass
        self._flush_quietly()
        self.socket.close()

    def close_quietly(self):
        """close() for cleanup, whatever state the test left us in."""
        if self.socket.fileno() >= 0:
            self.close()

    def close_without_notify(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _flush(self, one_byte_at_a_time=False):
        data = self._outgoing.read()
        if not data:
            return
        try:
            if one_byte_at_a_time:
                for byte in data:
                    self.socket.sendall(bytes([byte]))
            else:
                self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            self._drain()
            raise Closed() from error

    def _flush_quietly(self):
        try:
            self.socket.sendall(self._outgoing.read())
        except OSError:
            pass

    def _drain(self):
        """What the edge said before it reset a connection that we still wrote to (an answer, an alert)."""
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                break
            if not data:
                break
            self._incoming.write(data)
        self._incoming.write_eof()

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        came = select.poll()  # select() knows no descriptor beyond 1023.
        came.register(self.socket, select.POLLIN)
        if left <= 0 or not came.poll(1000 * left):
            raise Silence("nothing from the edge")
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _read_more(self, deadline):
        if self.ended is not None:
            raise self.ended
        try:
            data = self.tls.read(65536)
            if not data:
                raise Closed()
            self._framer.feed(data)
            self._flush_quietly()
        except ssl.SSLWantReadError:
            self._flush_quietly()
            self._fill(deadline)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError, ssl.SSLSyscallError) as error:
            self.ended = Closed()
            raise self.ended from error
        except ssl.SSLError as error:
            self.ended = Closed(error.reason)
            raise self.ended from error


class Accepted(TlsClient):
    """A connection that the edge opened to us; handshakes when made."""

    def __init__(self, connected, tls_context):
        connected.settimeout(SECONDS)
        self._begin(connected, True, tls_context, server_side=True)


def refused(port, tls_context, data, server_name="edge.example", session=None):
    """Tries a session and a request on it. Returns the Closed that refused it; fails if a single byte came back.

    A TLS 1.3 client is done before the server has verified it, so the refusal may only show on the first read.
    """
    try:
        client = TlsClient(port, tls_context, server_name=server_name, session=session)
    except (Closed, ConnectionError) as closed:
        return closed if isinstance(closed, Closed) else Closed()
    try:
        try:
            client.send(data)
        except (Closed, ConnectionError):
            pass
        answer = client.wait_closed()
        if answer or client.unread():
            raise AssertionError("a session that must not exist answered %r %r" % (answer, client.unread()))
        return client.ended
    finally:
        client.socket.close()
