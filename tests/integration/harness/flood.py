"""What one peer can send without ever ending it: handshakes that stop in their middle, and messages without their last
byte."""
import resource
import select
import socket
import struct

from . import tls_client
from .messages import request

_HELLO_BYTES = 7900  # Of a hello that says that it is longer, below the bound of one.


def raise_descriptor_limit():
    """As many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _long_hello():
    """The beginning of a ClientHello with a long list of suites."""
    body = b"\x03\x03" + b"R" * 32 + b"\0" + struct.pack(">H", 7800) + b"\x13\x01" * 3900
    handshake = b"\x01" + struct.pack(">I", len(body) + 200)[1:] + body
    return (b"\x16\x03\x01" + struct.pack(">H", len(handshake) + 200) + handshake)[:_HELLO_BYTES]


class UnfinishedHandshakes:
    """Connections of one source address that each stop somewhere in the handshake; the large ones behind as much of a
    ClientHello as the edge takes."""

    def __init__(self, port, context, source="127.0.0.1", are_large=False):
        self.opened = 0
        self._address, self._source = ("127.0.0.1", port), source
        self._open = {}
        self._poll = select.poll()
        hello = tls_client.hello(context)
        mixed = (_long_hello(), hello, hello[:-1], hello[:len(hello) // 2], hello[:1])
        self._beginnings = mixed[:1] if are_large else mixed

    def open(self, count):
        for _ in range(count):
            one = socket.socket()
            one.bind((self._source, 0))
            one.connect(self._address)
            self._open[one.fileno()] = one
            self._poll.register(one, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
            try:
                one.sendall(self._beginnings[self.opened % len(self._beginnings)])
            except ConnectionError:
                pass  # The edge has closed it at once; ended() finds it.
            self.opened += 1

    def __len__(self):
        return len(self._open)

    def ended(self):
        """Forgets what the edge has closed, and says how many that are."""
        gone = [number for number, _ in self._poll.poll(0)]
        for number in gone:
            self._poll.unregister(number)
            self._open.pop(number).close()
        return len(gone)

    def close(self):
        for one in self._open.values():
            one.close()
        self._open.clear()


class PartialMessages:
    """Connections of one identity that each have sent a message but for its last byte."""

    def __init__(self, port, context, uri, body_bytes, source="127.0.0.1"):
        self._port, self._context, self._source = port, context, source
        self._message = request(sender="<%s>;tag=1" % uri, body=b"p" * body_bytes).bytes[:-1]
        self.clients = []

    def open(self, count):
        for _ in range(count):
            client = tls_client.TlsClient(self._port, self._context, source=self._source)
            self.clients.append(client)
            self.send(client)

    def send(self, client):
        try:
            client.send(self._message)
        except (tls_client.Closed, OSError):
            pass  # It holds the most, and the edge has made room.

    def close(self):
        for client in self.clients:
            client.socket.close()
        self.clients.clear()
