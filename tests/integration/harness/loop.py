"""What a test plays by hand is served by the test's own thread, whenever it waits for something."""
import select
import socket
import struct
import time

from .messages import Message, response_to

SECONDS = 20.0


class Unanswered(AssertionError):
    """What a test waited for did not come."""


class Loop:
    """Serves agents: `sockets()` are those that it reads, `read(socket)` takes what has come on one."""

    def __init__(self):
        self._agents = []

    def add(self, agent):
        self._agents.append(agent)

    def remove(self, agent):
        self._agents.remove(agent)

    def until(self, wanted, what, timeout=SECONDS):
        """Serves everything until `wanted()` is true and returns that; fails at the deadline, and then says `what`."""
        deadline = time.monotonic() + timeout
        while True:
            found = wanted()
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise Unanswered("%s; there is: %r" % (
                    what, {str(agent): agent.received for agent in self._agents if agent.received}))
            self.serve(left)

    def serve(self, seconds=0.0):
        """Takes what has come, or what comes first."""
        agents = {one: agent for agent in self._agents for one in agent.sockets()}
        for one in select.select(list(agents), [], [], seconds)[0]:
            agents[one].read(one)


class Sink:
    """A place that must not be reached, on UDP, and on TCP on every address of this machine: 404 is its answer to all.
    `visits` holds what came, but for what the server at `allowed` port sends because Route says so."""

    def __init__(self, loop, port, allowed=None):
        self.port, self.received = port, ()
        self._visits = {}  # What came first, by where from.
        self._allowed = allowed and ":%d" % allowed
        self._listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", port))
        self._streams = []
        loop.add(self)

    @property
    def visits(self):
        return list(self._visits.values())

    def clear(self):
        self._visits.clear()

    def sockets(self):
        return [self._listener, self._datagrams, *self._streams]

    def read(self, ready):
        if ready is self._listener:
            self._streams.append(ready.accept()[0])
            self._visits[self._streams[-1]] = b"(a connection)"
        elif ready is self._datagrams:
            data, origin = ready.recvfrom(65536)
            self._came(origin, data, lambda answer: ready.sendto(answer, origin))
        else:
            self._read_stream(ready)

    def stop(self):
        for one in self.sockets():
            one.close()

    def _read_stream(self, ready):
        try:
            data = ready.recv(65536)
        except OSError:
            data = b""
        if data[:1] not in (b"", b"\x16"):
            return self._came(ready, data, ready.sendall)
        if data:
            self._visits[ready] = data  # A ClientHello; there is no TLS here.
        self._streams.remove(ready)
        ready.close()

    def _came(self, origin, data, send):
        message = Message(data)
        if self._allowed and message.vias()[0].split(";")[0].endswith(self._allowed):
            self._visits.pop(origin, None)
        else:
            self._visits[origin] = data
        if message.method != "ACK":
            send(response_to(message, 404))


class NoNames:
    """A name server on UDP that knows no name; `asked` holds those that it was asked for."""

    def __init__(self, loop, host="127.0.0.1"):
        self.received = ()
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.address = "%s:%d" % self._socket.getsockname()
        loop.add(self)

    def sockets(self):
        return [self._socket]

    def read(self, _):
        question, origin = self._socket.recvfrom(4096)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode(errors="replace"))
            at += 1 + question[at]
        self.asked.append(".".join(labels).lower())
        # The question comes back with "no such name" (RFC 1035 §4.1.1).
        self._socket.sendto(question[:2] + struct.pack("!5H", 0x8583, 1, 0, 0, 0) + question[12:at + 5], origin)

    def stop(self):
        self._socket.close()
