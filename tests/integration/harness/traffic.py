"""Traffic for tests that last: phones outside, callers inside, next hops that forget what they answered.

Every request must be answered. With what, the caller of these classes judges by `answers`, a count by (kind, status).
"""
import collections
import random
import threading
import time

from . import inside, tls_client
from .messages import Message, request, response_to, unique
from .next_hop import NextHop


def record_routes(message):
    return ["Record-Route: " + value for value in message.all("record-route")]


def routes(values):
    return ["Route: " + value for value in values]


def answer_call(send, message, contact):
    """What a user agent that takes every call answers, through `send(bytes)`."""
    if message.method == "ACK":
        return
    if message.method != "INVITE":
        return send(response_to(message, 200, "OK"))
    copied = record_routes(message)
    send(response_to(message, 180, "Ringing", headers=copied))
    send(response_to(message, 200, "OK", headers=copied, contact=contact))


class TrafficHop(NextHop):
    """Takes every call, and keeps a count instead of every byte."""

    def __init__(self, transport="tcp", port=0, rule=None):
        self.served = 0
        self._serving = threading.Lock()
        super().__init__(transport, port=port, rule=rule or TrafficHop.take)

    @staticmethod
    def take(hop, message):
        answer_call(lambda data: hop.send(data, message.origin), message,
                    "sip:bob@%s:%d;transport=%s" % (hop.host, hop.port, hop.transport))

    def close(self):
        """Between two requests: over UDP nobody learns that a server died behind its 180, so that call rings on."""
        with self._serving:
            super().close()

    def _arrived(self, raw, origin):
        message = Message(raw, origin)
        with self._serving:
            if self._open and not message.is_response:
                self.served += 1
                self.rule(self, message)


class Worker:
    """A thread that runs `step` until it is told to stop; the first exception ends it and is kept."""

    def __init__(self, name, pause):
        self.answers = collections.Counter()
        self.error = None
        self._pause = pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def ask_to_stop(self):
        self._stopping.set()

    def join(self, timeout=60.0):
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise AssertionError("%s does not end" % self._thread.name)
        if self.error is not None:
            raise self.error

    def _run(self):
        try:
            self.begin()
            while not self._stopping.is_set():
                self.step()
                self.idle(self._pause)
            self.end()
        except Exception as error:  # The thread's owner raises it again.
            self.error = error

    def begin(self):
        """Before the first step."""

    def end(self):
        """After the last one."""

    def idle(self, seconds):
        """Between two steps."""
        time.sleep(seconds)


class Phone(Worker):
    """A TLS client that registers, calls, sends messages, takes what comes, and connects anew now and then."""

    def __init__(self, number, port, context, directory, pause=0.01, reconnects=0.0, methods=("MESSAGE", "INVITE"),
                 user="bob"):
        super().__init__("phone %d" % number, pause)
        self.uri = "sip:user%d@a.example" % number
        self.contact = "sip:user%d@192.0.2.9:5061;transport=tls;ob" % number
        self._number, self._port, self._context, self._directory = number, port, context, directory
        self._reconnects, self._methods = reconnects, methods
        self._target = "sip:%s@edge.example" % user
        self._client = None
        self._random = random.Random(number)
        self._count = 0
        self.latencies = []

    def begin(self):
        self._client = tls_client.TlsClient(self._port, self._context)
        if self._directory is None:
            return
        wanted = request("REGISTER", uri="sip:edge.example", sender="<%s>;tag=r" % self.uri, to="<%s>" % self.uri,
                         omit=("contact",), headers=[
                             "Supported: path, outbound",
                             'Contact: <%s>;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-%012d>"' % (
                                 self.contact, self._number)])
        self._client.send(wanted)
        self._count_answer("REGISTER", self._final(wanted))

    def end(self):
        if self._directory is not None:
            self._directory.pop(self.contact, None)
        self._client.close()

    def step(self):
        if self._random.random() < self._reconnects:
            self.end()
            self.begin()
        self._count += 1
        method = self._methods[self._count % len(self._methods)]
        wanted = request(method, uri=self._target, sender="<%s>;tag=p" % self.uri, omit=("contact",),
                         headers=["Contact: <%s>" % self.contact])
        started = time.monotonic()
        self._client.send(wanted)
        answer = self._final(wanted)
        self.latencies.append(time.monotonic() - started)
        self._count_answer(method, answer)
        if method != "INVITE":
            return
        forth = routes(reversed(answer.all("record-route")))
        if answer.status >= 300:
            self._client.send(request("ACK", uri=self._target, call_id=wanted.call_id, branch=wanted.branch,
                                      sender="<%s>;tag=p" % self.uri, to=answer.header("to")))
            return
        for in_dialog, cseq in (("ACK", 1), ("BYE", 2)):
            sent = request(in_dialog, uri=self._target, call_id=wanted.call_id, sender="<%s>;tag=p" % self.uri,
                           to=answer.header("to"), headers=forth, cseq=cseq)
            self._client.send(sent)
        self._count_answer("BYE", self._final(sent))

    def idle(self, seconds):
        """Answers what comes meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._serve(self._client.receive(max(0.0, deadline - time.monotonic())))
            except tls_client.Silence:
                return

    def _count_answer(self, kind, answer):
        self.answers[kind, answer.status] += 1

    def _final(self, wanted, timeout=45.0):
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self._client.receive(max(0.0, deadline - time.monotonic()))
            except tls_client.Silence:
                raise AssertionError("%s %s of %s was never answered" % (wanted.method, wanted.call_id, self.uri))
            if not message.is_response:
                self._serve(message)
            elif message.status >= 200 and (message.call_id, message.header("cseq").split()[1]) == (
                    wanted.call_id, wanted.method):
                if wanted.method == "REGISTER" and message.status == 200:
                    self._directory[self.contact] = message.header("x-path")
                return message

    def _serve(self, message):
        if not message.is_response:
            answer_call(self._client.send, message, self.contact)


def registrar(hop, message):
    """The rule of a hop for Phone: tells it the Path that it must be reached by."""
    if message.method != "REGISTER":
        return TrafficHop.take(hop, message)
    hop.respond(message, 200, "OK", headers=["X-Path: " + message.header("path")])


class InsideCaller(Worker):
    """Calls registered phones, and sends them messages, from one UDP socket or TCP connection."""

    def __init__(self, transport, port, directory, contact, pause=0.01):
        super().__init__("inside " + transport, pause)
        self._inside = inside.Inside(transport, port)
        self._directory, self._contact = directory, contact
        self._random = random.Random(port)
        self._count = 0

    def end(self):
        self._inside.close()

    def step(self):
        listed = list(self._directory.items())
        if not listed:
            return
        phone, path = self._random.choice(listed)
        self._count += 1
        method = ("MESSAGE", "INVITE")[self._count % 2]
        wanted = self._inside.request(method, phone, "z9hG4bK" + unique("in"), to="<%s>" % phone.partition(":5061")[0],
                                      headers=["Route: " + path, "Contact: <%s>" % self._contact], omit=("contact",))
        answer = self._inside.exchange(wanted, 45.0)
        self.answers[method, answer.status] += 1
        if method != "INVITE":
            return
        if answer.status >= 300:
            self._inside.send(self._inside.request("ACK", phone, wanted.branch, call_id=wanted.call_id,
                                                   to=answer.header("to"), headers=["Route: " + path],
                                                   omit=("contact",)))
            return
        back = routes(reversed(answer.all("record-route")))
        for in_dialog, cseq in (("ACK", 1), ("BYE", 2)):
            sent = self._inside.request(in_dialog, phone, "z9hG4bK" + unique("in"), call_id=wanted.call_id,
                                        to=answer.header("to"), headers=back, cseq=cseq, omit=("contact",))
            if in_dialog == "ACK":
                self._inside.send(sent)
        self.answers["BYE", self._inside.exchange(sent, 45.0).status] += 1


def total(workers):
    """What all of them were answered."""
    return sum((worker.answers for worker in workers), collections.Counter())
