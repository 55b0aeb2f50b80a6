"""A SIP server for the inside, on UDP or TCP, that keeps every byte it gets and answers as the test says."""
import socket
import threading
import time

from .messages import Framer, Message, response_to

SECONDS = 20.0


def accept(hop, message):
    """The usual behaviour: 200 to everything but ACK."""
    if message.method != "ACK":
        hop.respond(message, 200, "OK")


def silent(_hop, _message):
    """Says nothing; the test answers by hand with respond()."""


def _matching(messages, call_id, method):
    return [m for m in messages if m.call_id == call_id and (method is None or m.method == method)]


class NextHop:
    """Listens when made. `rules` maps a Call-ID to what is done with its requests; others get `rule`."""

    def __init__(self, transport="udp", host="127.0.0.1", port=0, rule=accept):
        self.transport = transport
        self.rule = rule
        self.rules = {}
        self.messages = []  # On UDP without repetitions: a slow machine must not look like a wrong edge.
        self.arrivals = []  # Everything, in the order it came.
        self.connections = []
        self._known = set()
        self._changed = threading.Condition()
        self._open = True
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                                     socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if transport == "udp":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((host, port))
        if transport == "tcp":
            self._socket.listen(64)
        self.host, self.port = self._socket.getsockname()[:2]
        threading.Thread(target=self._serve_udp if transport == "udp" else self._serve_tcp, daemon=True).start()

    @property
    def target(self):
        return ("%s:[%s]:%d" if ":" in self.host else "%s:%s:%d") % (self.transport, self.host, self.port)

    def close(self):
        self._open = False
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        self.drop_connections()

    def drop_connections(self):
        """Ends every TCP connection that the edge has to us."""
        with self._changed:
            connections, self.connections = self.connections, []
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def respond(self, message, status, reason="Whatever", **parts):
        """Answers a request where it came from."""
        self.send(response_to(message, status, reason, **parts), message.origin)

    def send(self, data, origin):
        try:
            if self.transport == "udp":
                self._socket.sendto(data, origin)
            else:
                origin.sendall(data)
        except OSError:
            if self._open and self.transport == "udp":
                raise

    def seen(self, call_id, method=None):
        """Requests of that Call-ID, in the order they came."""
        with self._changed:
            return _matching(self.messages, call_id, method)

    def copies(self, call_id, method=None):
        """As seen(), with every retransmission."""
        with self._changed:
            return _matching(self.arrivals, call_id, method)

    def wait(self, call_id, method=None, count=1, timeout=SECONDS):
        """Waits until `count` such requests came and returns them; fails at the deadline."""
        return self._wait(self.messages, call_id, method, count, timeout)

    def wait_copies(self, call_id, method=None, count=1, timeout=SECONDS):
        """As wait(), counting every retransmission."""
        return self._wait(self.arrivals, call_id, method, count, timeout)

    def wait_messages(self, count, timeout=SECONDS):
        """Waits until `messages` has that many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count, timeout):
                raise AssertionError("%d messages came, not %d" % (len(self.messages), count))

    def _wait(self, where, call_id, method, count, timeout):
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = _matching(where, call_id, method)
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("the next hop saw %r of %s, not %d x %s" % (
                        _matching(where, call_id, None), call_id, count, method or "anything"))
                self._changed.wait(left)

    def _arrived(self, raw, origin):
        message = Message(raw, origin)
        with self._changed:
            self.arrivals.append(message)
            if self.transport == "tcp" or raw not in self._known:
                self.messages.append(message)
                self._known.add(raw)
            self._changed.notify_all()
        if not message.is_response:
            self.rules.get(message.call_id, self.rule)(self, message)

    def _serve_udp(self):
        while self._open:
            try:
                data, origin = self._socket.recvfrom(65536)
            except OSError:
                return
            if self._open and data.strip(b"\r\n\0"):
                self._arrived(data, origin)

    def _serve_tcp(self):
        while self._open:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections.append(connection)
                self._changed.notify_all()
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        framer = Framer()
        while self._open:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            if not data:
                return
            framer.feed(data)
            while True:
                raw = framer.next()
                if raw is None:
                    break
                self._arrived(raw, connection)
