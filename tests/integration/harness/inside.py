"""Somebody on the inside who sends requests: one UDP socket, or one TCP connection to an inside listener."""
import select
import socket
import time

from .messages import Framer, Message, request

SECONDS = 20.0


class Silence(AssertionError):
    """Nothing came in time."""


class Inside:
    """Opens when made. Driven by one thread: what comes is kept by Call-ID until somebody asks for it."""

    def __init__(self, transport, port, host="127.0.0.1"):
        self.transport = transport
        self._edge = (host, port)
        self._kept = []
        self._framer = Framer()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        if transport == "udp":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self._socket.bind((host, 0))
        else:
            self._socket.connect(self._edge)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = "%s:%d" % self._socket.getsockname()[:2]

    def close(self):
        self._socket.close()

    @property
    def via(self):
        """For via= of request(), with a branch of the caller's to follow."""
        return "SIP/2.0/%s %s;rport;branch=" % (self.transport.upper(), self.address)

    def request(self, method, uri, branch, **parts):
        """A request of ours; `branch` makes it a transaction of its own."""
        parts.setdefault("sender", "<sip:bob@edge.example>;tag=inside")
        return request(method, uri=uri, branch=branch, via=self.via + branch, **parts)

    def send(self, data):
        data = getattr(data, "bytes", data)
        if self.transport == "udp":
            self._socket.sendto(data, self._edge)
        else:
            self._socket.sendall(data)

    def receive(self, call_id, method=None, timeout=SECONDS):
        """The next message of that Call-ID that is not a 100; responses to `method` only if told."""
        deadline = time.monotonic() + timeout
        while True:
            for n, message in enumerate(self._kept):
                if message.call_id == call_id and method in (None, message.header("cseq").split()[1]):
                    return self._kept.pop(n)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise Silence("nothing of %s came inside; kept: %r" % (call_id, self._kept))
            self._read()

    def exchange(self, wanted, timeout=SECONDS):
        """Sends a request, over UDP again every second until something comes, and returns its final response."""
        self.send(wanted)
        deadline = time.monotonic() + timeout
        repeats = self.transport == "udp"
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                answer = self.receive(wanted.call_id, wanted.method, min(1.0, left) if repeats else left)
            except Silence:
                if not repeats or left == 0.0:
                    raise
                self.send(wanted)
                continue
            if answer.is_response and answer.status >= 200:
                return answer
            repeats = False

    def _read(self):
        data = self._socket.recv(65536)
        if self.transport == "udp":
            found = [data]
        else:
            if not data:
                raise AssertionError("the edge closed the connection from the inside")
            self._framer.feed(data)
            found = iter(self._framer.next, None)
        for raw in found:
            message = Message(raw)
            if not message.is_response or message.status != 100:
                self._kept.append(message)
