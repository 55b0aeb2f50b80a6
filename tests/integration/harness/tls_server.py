"""A SIP server outside that the edge dials over TLS, and that may say something of its own on that connection."""
import select
import socket
import ssl
import threading
import time

from .messages import Framer, Message, response_to

SECONDS = 20.0


def context(authority, certificate, version=None):
    """A server context that shows `certificate`, requires one of `authority`, and speaks one version or both."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_verify_locations(authority.path)
    made.load_cert_chain(certificate.chain, certificate.key)
    made.verify_mode = ssl.CERT_REQUIRED
    if version is not None:
        made.minimum_version = made.maximum_version = {
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    return made


class Session:
    """One connection of the edge. A thread of its own reads and writes it, one thing after the other."""

    def __init__(self, tls):
        self.tls = tls
        self.reused = tls.session_reused
        self.messages = []
        self.is_over = False
        self.changed = threading.Condition()
        self._unsent = []
        self._ends = False

    def send(self, data):
        self._unsent.append(getattr(data, "bytes", data))

    def end(self):
        """Closes it, after what was to be sent."""
        self._ends = True

    def wait(self, call_id, timeout=SECONDS):
        """The first message of that Call-ID."""
        with self.changed:
            if not self.changed.wait_for(lambda: any(m.call_id == call_id for m in self.messages), timeout):
                raise AssertionError("nothing of %s came; there was %r" % (call_id, self.messages))
            return next(m for m in self.messages if m.call_id == call_id)

    def wait_over(self, timeout=SECONDS):
        with self.changed:
            if not self.changed.wait_for(lambda: self.is_over, timeout):
                raise AssertionError("the edge did not close its connection")

    def serve(self):
        try:
            self._serve()
        except (OSError, ssl.SSLError):
            pass
        self.tls.close()
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def _serve(self):
        framer = Framer()
        while True:
            while self._unsent:
                self.tls.sendall(self._unsent.pop(0))
            if self._ends:
                return
            if not self.tls.pending() and not select.select([self.tls], [], [], 0.05)[0]:
                continue
            data = self.tls.recv(65536)
            if not data:
                return
            framer.feed(data)
            for raw in iter(framer.next, None):
                message = Message(raw, self)
                if not message.is_response and message.method != "ACK":
                    self.tls.sendall(response_to(message, 200, "OK"))
                with self.changed:
                    self.messages.append(message)
                    self.changed.notify_all()


class TlsServer:
    """Listens when made, and answers every request with 200. `context` may be replaced between two connections."""

    def __init__(self, tls_context, host="127.0.0.1"):
        self.context = tls_context
        self.sessions = []
        self.refusals = 0  # Handshakes that came to nothing.
        self._socket = socket.create_server((host, 0))
        self.port = self._socket.getsockname()[1]
        self.target = "tls:%s:%d" % (host, self.port)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for session in self.sessions:
            session.end()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def wait_sessions(self, count, timeout=SECONDS):
        """Waits until that many handshakes succeeded; returns the newest session."""
        return self._wait(lambda: len(self.sessions) >= count, "sessions", timeout) and self.sessions[count - 1]

    def wait_refusals(self, count, timeout=SECONDS):
        self._wait(lambda: self.refusals >= count, "refused handshakes", timeout)

    def wait_requests(self, method, count, timeout=SECONDS):
        """Waits until that many came, on whatever session; returns them all."""
        def came():
            messages = [m for session in self.sessions for m in session.messages if not m.is_response]
            return [m for m in messages if m.method == method]

        self._wait(lambda: len(came()) >= count, method + " requests", timeout)
        return came()

    def _wait(self, reached, what, timeout):
        deadline = time.monotonic() + timeout
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError("%d sessions and %d refused handshakes; more %s were due" % (
                    len(self.sessions), self.refusals, what))
            time.sleep(0.02)
        return True

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(SECONDS)
            try:
                # A client of TLS 1.3 that refuses us says so where the first request is due.
                session = Session(self.context.wrap_socket(connection, server_side=True))
            except (OSError, ssl.SSLError):
                self.refusals += 1
                connection.close()
                continue
            self.sessions.append(session)
            threading.Thread(target=session.serve, daemon=True).start()
