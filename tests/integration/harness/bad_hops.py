"""Next hops of every bad kind. Each has `target`, `close()`, and the way in which it is bad."""
import socket
import struct
import threading

from .next_hop import silent
from .traffic import TrafficHop


class BlackHole:
    """Nobody accepts, and the queue of those who wait is full: the kernel drops every further SYN."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(0)
        self.host, self.port = self._socket.getsockname()
        self.target = "tcp:%s:%d" % (self.host, self.port)
        self._waiting = []
        while self._connects():
            pass

    def _connects(self):
        self._waiting.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self._waiting[-1].settimeout(0.3)
        try:
            self._waiting[-1].connect((self.host, self.port))
            return True
        except socket.timeout:
            return False

    def close(self):
        for one in self._waiting + [self._socket]:
            one.close()


class Resetting:
    """Accepts and sends RST at once."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)
        self.host, self.port = self._socket.getsockname()
        self.target = "tcp:%s:%d" % (self.host, self.port)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


def half_open(transport="tcp"):
    """Accepts, reads, and never answers."""
    return TrafficHop(transport, rule=silent)


def slow(transport="tcp", seconds=3.0):
    """Answers, but too late."""

    def rule(hop, message):
        timer = threading.Timer(seconds, TrafficHop.take, (hop, message))
        timer.daemon = True
        timer.start()

    return TrafficHop(transport, rule=rule)


KINDS = {"black hole": BlackHole, "resetting": Resetting, "half open": half_open, "slow": slow,
         "silent on UDP": lambda: half_open("udp")}
