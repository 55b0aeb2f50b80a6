"""The stage of a fuzz run: a peer outside sends mutants through the edge to a server that we did not write, over one
TCP connection, on which another party's call is ringing."""
import collections
import os
import re
import threading

from . import tls_client
from .messages import Message, request, response_to, unique, via_parameter
from .mutants import Draft, Mutator

MESSAGES = int(os.environ.get("SALLYPORT_FUZZ_MESSAGES", "1000"))
SEED = int(os.environ.get("SALLYPORT_FUZZ_SEED", "20261130"))
_BATCH = 4        # Mutants between two requests that must be answered.
_METHODS = ("OPTIONS", "MESSAGE", "INVITE", "SUBSCRIBE", "NOTIFY", "INFO", "PUBLISH", "REFER") * 2 + ("BYE", "UPDATE",
                                                                                                      "ACK", "CANCEL")
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
_PLAIN = re.compile(rb"(?i)(?:[!-~]+ [!-~]+ SIP/2\.0|SIP/2\.0 \d{3} [^\r\n]*)\r\n(?:[!-9;-~]+[ \t]*:[^\r\n]*\r\n)+\r\n")


def draft_request(mutator, number, sender, to):
    """A usual request, with its number where what is forwarded shows it."""
    method = mutator.choice(_METHODS)
    lines = [("Via", "SIP/2.0/TLS pc.edge.example:5061;branch=z9hG4bKmutant%d" % number), ("Max-Forwards", "70"),
             ("From", "<%s>;tag=mutant%d" % (sender, number)), ("To", "<%s>" % to), ("Call-ID",
                                                                                     "mutant%d@edge.example" % number),
             ("CSeq", "%d %s" % (number % 7 + 1, method)), ("Contact", "<sip:alice@192.0.2.9:5061;transport=tls>"),
             ("Subject", "a usual one")]
    body = ""
    if method in ("INVITE", "MESSAGE", "INFO"):
        body = SDP
        lines.append(("Content-Type", "application/sdp"))
    if method in ("SUBSCRIBE", "NOTIFY"):
        lines += [("Event", "presence"), ("Expires", "60")]
    if method == "NOTIFY":
        lines.append(("Subscription-State", "active"))
    if method == "REFER":
        lines.append(("Refer-To", "<sip:carol@edge.example>"))
    lines.append(("Content-Length", str(len(body))))
    return Draft("%s %s SIP/2.0" % (method, to), lines, body)


def draft_response(raw, status, reason):
    """What a telephone answers to a request whose lines may be odd themselves."""
    head = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    lines = []
    for wanted in ("via", "record-route", "from", "to", "call-id", "cseq"):
        for line in head:
            name, _, value = line.partition(":")
            if name.strip().lower() in (wanted, {"via": "v", "from": "f", "to": "t", "call-id": "i"}.get(wanted)):
                value = value.strip()
                if wanted == "to" and "tag=" not in value:
                    value += ";tag=odd"
                lines.append((wanted.title(), value))
    return Draft("SIP/2.0 %d %s" % (status, reason), lines + [
        ("Contact", "<sip:bob@192.0.2.9:5061;transport=tls>"), ("Server", "an odd telephone"), ("Content-Length", "0")])


def odd_answers(mutator, raw):
    """The mutants that answer a request; none for an ACK."""
    if raw.startswith(b"ACK ") or raw.startswith(b"SIP/2.0 "):
        return []
    statuses = [mutator.choice(((180, "Ringing"), (183, "Progress")))] if raw.startswith(b"INVITE ") else []
    statuses.append(mutator.choice(((200, "OK"), (200, "OK"), (486, "Busy Here"), (404, "Not Found"), (302, "Moved"))))
    answers = [mutator.mutate(draft_response(raw, *status))[0] for status in statuses]
    # The plain one behind them ends the transaction, whatever became of the others.
    return answers + [draft_response(raw, 480, "Temporarily Unavailable").bytes()]


class OddPhone:
    """A telephone outside, in a thread of its own, that registers and answers by mutants. It connects anew when the
    edge has had enough of it."""

    def __init__(self, port, context, uri, mutator):
        self.answered = 0
        self.connections = 0
        self.error = None
        self._port, self._context, self._uri, self._mutator = port, context, uri, mutator
        self._stopping = False
        self._registered = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_registered(self):
        if not self._registered.wait(20.0):
            raise AssertionError("the odd telephone is not registered: %r" % self.error)

    def stop(self):
        self._stopping = True
        self._thread.join(20.0)
        if self.error is not None:
            raise self.error

    def _run(self):
        try:
            while not self._stopping:
                client = register(self._port, self._context, self._uri)
                self.connections += 1
                self._registered.set()
                try:
                    self._serve(client)
                except (tls_client.Closed, OSError):
                    pass
                client.close_quietly()
        except Exception as error:  # stop() raises it.
            self.error = error

    def _serve(self, client):
        while not self._stopping:
            try:
                raw = client.receive(timeout=0.2).raw
            except tls_client.Silence:
                continue
            for answer in odd_answers(self._mutator, raw):
                self.answered += 1
                client.send(answer)


def register(port, context, uri):
    """A connection that has registered; its instance and Contact stay the same."""
    client = tls_client.TlsClient(port, context)
    wanted = request("REGISTER", uri="sip:edge.example", sender="<%s>;tag=r" % uri, to="<%s>" % uri, omit=("contact",),
                     headers=[
        "Supported: path, outbound", "Contact: <%s:5061;transport=tls;ob>;reg-id=1;+sip.instance=\"<urn:uuid:%s>\"" % (
            uri.replace("edge.example", "192.0.2.9"), "00000000-0000-1000-8000-%012x" % (hash(uri) & 0xffffffffffff))])
    answer = client.exchange(wanted)
    if answer.status != 200:
        raise AssertionError("REGISTER of %s was answered %r" % (uri, answer.raw))
    return client


class Forwarded:
    """What the edge has forwarded, as a Tap sees it: the numbers of the mutants, and how many odd answers. A line that
    two readers could take differently is an error."""

    def __init__(self):
        self.numbers = set()
        self.odd_answers = 0

    def __call__(self, raw):
        if _PLAIN.match(raw) is None:
            raise AssertionError("forwarded, and not plain: %r" % raw)
        if len(re.findall(rb"(?im)^(?:content-length|l)[ \t]*:", raw.partition(b"\r\n\r\n")[0])) != 1:
            raise AssertionError("forwarded, and not one Content-Length: %r" % raw)
        found = re.search(rb"mutant(\d+)", raw)
        if found:
            self.numbers.add(int(found.group(1)))
        self.odd_answers += b"an odd telephone" in raw and not raw.startswith(b"SIP/2.0 480 ")


class Flood:
    """Sends mutants to `to` and, behind each few of them, a plain OPTIONS to `probed` that must be answered 200."""

    def __init__(self, connect, mutator, sender, to, probed):
        self.answers = collections.Counter()
        self.kinds = collections.Counter()
        self.sent = 0
        self.connections = 0
        self._connect, self._mutator, self._sender, self._to, self._probed = connect, mutator, sender, to, probed
        self._client = None

    def batch(self, size=_BATCH):
        for _ in range(size):
            data, names = self._mutator.mutate(draft_request(self._mutator, self.sent, self._sender, self._to))
            self.kinds.update(names)
            self.sent += 1
            try:
                self._connected().send(data)
            except (tls_client.Closed, OSError):
                self._drop()
        # What stands behind a mutant without an end belongs to it, and is refused or waited for with it. A connection
        # of its own has no such neighbour.
        try:
            answer = self._probe(1.0)
        except (tls_client.Closed, tls_client.Silence, OSError):
            answer = None
        if answer is None or answer.status != 200:
            self._drop()
            answer = self._probe(20.0)
        if answer.status != 200:
            raise AssertionError("a plain request behind mutant %d was answered %r" % (self.sent, answer.raw))

    def close(self):
        self._drop()

    def _connected(self):
        if self._client is None:
            self._client = self._connect()
            self.connections += 1
        return self._client

    def _drop(self):
        if self._client is not None:
            self._client.close_quietly()
            self._client = None

    def _probe(self, patience):
        probe = request("OPTIONS", uri=self._probed, sender="<%s>;tag=probe" % self._sender,
                        call_id=unique("probe-"))
        self._connected().send(probe)
        while True:
            answer = self._client.receive(patience)
            if not answer.is_response:
                continue
            if probe.call_id.encode() in answer.raw:
                return answer
            self.answers[answer.status] += 1


class RingingCall:
    """A call of another party, over the same connections inside, that rings while the mutants pass."""

    def __init__(self, caller, callee, caller_uri, callee_uri):
        self._caller, self._callee = caller, callee
        self._from, self._to = caller_uri, callee_uri
        self._invite = request("INVITE", uri=callee_uri, sender="<%s>;tag=caller" % caller_uri, to="<%s>" % callee_uri)
        caller.send(self._invite)
        self._received = self._of_us(callee, "INVITE")
        self.ring()
        self._wait(180)

    def ring(self):
        self._respond(180, "Ringing")

    def answer(self):
        """200, ACK, BYE and its 200, each at the other side."""
        self._respond(200, "OK")
        accepted = self._wait(200)
        routes = ["Route: " + value for line in reversed(accepted.all("record-route"))
                  for value in reversed(line.split(","))]
        for method, number in (("ACK", 1), ("BYE", 2)):
            sent = request(method, uri="sip:dave@192.0.2.9:5061;transport=tls", sender="<%s>;tag=caller" % self._from,
                           to=accepted.header("to"), call_id=self._invite.call_id, cseq=number, headers=routes)
            self._caller.send(sent)
            self._received = self._of_us(self._callee, method)
        self._callee.send(response_to(self._received, 200, "OK"))
        self._wait(200)

    def _respond(self, status, reason):
        kept = ["Record-Route: " + value for value in self._received.all("record-route")]
        self._callee.send(response_to(self._received, status, reason, tag="callee", headers=kept,
                                      contact="sip:dave@192.0.2.9:5061;transport=tls"))

    def _of_us(self, client, method):
        while True:
            message = client.receive()
            if not message.is_response and message.method == method and message.call_id == self._invite.call_id:
                return message

    def _wait(self, status):
        while True:
            message = self._caller.receive()
            if message.is_response and message.status >= 180 and message.call_id == self._invite.call_id:
                if message.status == status:
                    return message
                if message.status != 180:
                    raise AssertionError("the ringing call was answered %r" % message.raw)
