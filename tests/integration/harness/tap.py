"""A relay between two programs on TCP: it keeps what they say last, and knows which side ended a connection."""
import collections
import socket
import threading

from .messages import Framer

_KEPT = 10  # Messages of each side: enough to see what made the other one leave.


class Link:
    """One connection through a Tap. `ended_by` is "dialler" or "server" once one of them has ended it; `last` holds the
    newest messages of each."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.ended_by = None
        self.last = {"dialler": collections.deque(maxlen=_KEPT), "server": collections.deque(maxlen=_KEPT)}

    def is_probing(self):
        """It carries nothing but OPTIONS of the edge's own."""
        return all(b"\r\nUser-Agent: Sallyport\r\n" in raw for raw in list(self.last["dialler"]))


class Tap:
    """Listens when made, and passes on to `port`. `takes` is a function for each side that gets each of its messages;
    the first exception of one is kept in `error`."""

    def __init__(self, port, **takes):
        self.links = []
        self.error = None
        self._target = port
        self._takes = takes
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def ended(self):
        """The links that are no more."""
        with self._lock:
            return [link for link in self.links if link.ended_by]

    def stop(self):
        self._socket.close()
        with self._lock:
            for link in self.links:
                for side in (link.near, link.far):
                    self._shut(side)

    def _accept(self):
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            for side in (near, far):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(near, far)
            with self._lock:
                self.links.append(link)
            for source, to, name in ((near, far, "dialler"), (far, near, "server")):
                threading.Thread(target=self._pass_on, args=(link, source, to, name), daemon=True).start()

    def _read(self, link, name, framer, data):
        framer.feed(data)
        for raw in iter(framer.next, None):
            link.last[name].append(raw)
            try:
                self._takes.get(name, lambda raw: None)(raw)
            except Exception as error:  # The test raises it again.
                self.error = self.error or error

    def _pass_on(self, link, source, to, name):
        framer = Framer()
        while True:
            try:
                data = source.recv(65536)
                if data:
                    self._read(link, name, framer, data)  # Before the other side can leave because of it.
                    to.sendall(data)
                    continue
            except OSError:
                pass
            with self._lock:
                link.ended_by = link.ended_by or name
            return self._shut(to)

    @staticmethod
    def _shut(one):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
