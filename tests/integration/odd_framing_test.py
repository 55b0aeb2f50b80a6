"""An odd message costs itself alone, however its bytes are cut: whole, byte by byte, and between two others; from
outside over TLS, from inside over TCP and UDP; as a request and as a response."""
import itertools

from harness import odd_messages, scene, traffic
from harness.inside import Inside
from harness.messages import request, response_to, unique

HOWS = ("whole", "single bytes", "pipelined")


def cut(how, data, before, behind):
    """What is sent, piece by piece."""
    if how == "whole":
        return [data]
    if how == "pipelined":
        return [before + data + behind]
    # The end of a large one, too, arrives in bytes.
    middle = max(0, len(data) - 600) if len(data) > 2000 else 0
    return [data[n:n + 1] for n in range(600 if middle else 0)] + ([data[600:middle]] if middle else []) + [
        data[n:n + 1] for n in range(middle, len(data))]


class OddRequests:
    """`send(pieces)` sends, `answer(call_id)` waits for a final response, `write(**parts)` writes a request."""

    hows = HOWS
    passing = {}   # Kinds of REFUSED that pass here, and the line that must arrive.
    left_out = ()  # Kinds that are not played.

    def outcome(self, wanted, status, line, what):
        if status is not None:
            self.assertEqual(self.answer(wanted.call_id).status, status, what)
            self.assertEqual(self.hop.seen(wanted.call_id), [], what)
            return
        self.assertEqual(self.answer(wanted.call_id).status, 200, what)
        (seen,) = self.hop.seen(wanted.call_id)
        self.assertIn(b"\r\n" + line + b"\r\n", seen.raw, what)

    def test_every_kind(self):
        count = 0
        for how in self.hows:
            for kind, wanted, status, line in odd_messages.odd_requests(self.write):
                if kind in self.left_out:
                    continue
                if kind in self.passing:
                    status, line = None, self.passing[kind]
                with self.subTest(kind=kind, how=how):
                    before, behind = self.write(), self.write()
                    self.send(cut(how, wanted.bytes, before.bytes, behind.bytes))
                    if how == "pipelined":
                        self.assertEqual(self.answer(before.call_id).status, 200)
                    self.outcome(wanted, status, line, "%s, %s" % (kind, how))
                    if how != "pipelined":
                        self.send([behind.bytes])
                    self.assertEqual(self.answer(behind.call_id).status, 200)
                    count += 1
        kinds = len(odd_messages.PASSING) + len(odd_messages.PASSING_TO) + len(odd_messages.REFUSED)
        self.assertEqual(count, len(self.hows) * (kinds - len(self.left_out)))

    def test_cancel_keeps_its_reason(self):
        line = odd_messages.PASSING["a reason of a CANCEL"]
        for how in self.hows:
            with self.subTest(how=how):
                invite = self.write(method="INVITE")
                self.hop.rules[invite.call_id] = lambda hop, m: m.method == "INVITE" and hop.respond(m, 180, "Ringing")
                self.send([invite.bytes])
                (ringing,) = self.hop.wait(invite.call_id, "INVITE")
                self.provisional(invite.call_id, 180)
                cancel = self.write(method="CANCEL", call_id=invite.call_id, branch=invite.branch, headers=[line])
                before, behind = self.write(), self.write()
                self.send(cut(how, cancel.bytes, before.bytes, behind.bytes))
                (seen,) = self.hop.wait(invite.call_id, "CANCEL")
                self.assertIn(b"\r\n" + line + b"\r\n", seen.raw)
                self.hop.respond(seen, 200, "OK")
                self.hop.respond(ringing, 487, "Request Terminated")


class FromOutside(OddRequests):

    def setUp(self):
        self.peer = self.client()
        self.answers = {}

    def write(self, method="MESSAGE", **parts):
        return request(method, **parts)

    def send(self, pieces):
        self.peer.send_pieces(pieces)

    def provisional(self, call_id, status):
        while True:
            message = self.peer.receive()
            if (message.call_id, message.status) == (call_id, status):
                return

    def answer(self, call_id):
        while call_id not in self.answers:
            message = self.peer.receive_final()
            self.answers[message.call_id] = message
        return self.answers[call_id]


class FromOutsideToTcpTest(FromOutside, scene.SceneTest):
    transport = "tcp"


class FromOutsideToUdpTest(FromOutside, scene.SceneTest):
    transport = "udp"


class FromInside(OddRequests):
    """A server inside sends to a server inside, as [[route]] says."""

    config = {"route": [{"zone": "inside", "next-hop": "core"}]}
    passing = {"Content-Length again": b"Content-Length: 0"}  # It loses the second line.

    def setUp(self):
        self.server = Inside(self.transport, self.edge.listener_port("core"))
        self.addCleanup(self.server.close)

    def write(self, method="MESSAGE", branch=None, **parts):
        return self.server.request(method, "sip:bob@edge.example", branch or "z9hG4bK" + unique("o"), **parts)

    def send(self, pieces):
        for piece in pieces:
            self.server.send(piece)

    def provisional(self, call_id, status):
        self.assertEqual(self.server.receive(call_id).status, status)

    def answer(self, call_id):
        return self.server.receive(call_id)


class FromInsideOverTcpTest(FromInside, scene.SceneTest):
    transport = "tcp"


class FromInsideOverUdpTest(FromInside, scene.SceneTest):
    """A datagram is a message: it has no other way to be cut."""

    transport = "udp"
    hows = ("whole",)


class OddResponses:
    """`ask()` sends an INVITE that rings at the other side, and is what arrives there; `send(pieces, message)` sends from
    there to where `message` came from; `final(call_id)` is what comes back."""

    hows = HOWS
    left_out = ()  # Kinds that are not played.
    dropped = ()   # Kinds that pass elsewhere.

    def test_every_kind(self):
        count = 0
        for how in self.hows:
            for number in itertools.count():
                before, wanted, behind = (self.ask() for _ in range(3))
                kinds = [*odd_messages.odd_responses(wanted), ("a body beyond the limit",
                                                               odd_messages.large_response(wanted), None)]
                if number == len(kinds):
                    break
                kind, data, line = kinds[number]
                if kind in self.left_out:
                    continue
                with self.subTest(kind=kind, how=how):
                    if kind in self.dropped:
                        line = None
                    plain = [response_to(message, 486, "Busy Here") for message in (before, behind)]
                    self.send(cut(how, data, *plain), wanted)
                    if how != "pipelined":
                        self.send(plain, behind)
                    for message in (before, behind):
                        self.assertEqual(self.final(message.call_id).status, 486, kind)
                    # Of one that is dropped the caller hears nothing: the first final response is the next one.
                    self.send([response_to(wanted, 480, "Temporarily Unavailable")], wanted)
                    came = self.final(wanted.call_id)
                    self.assertEqual(came.status, 480 if line is None else 200, kind)
                    if line is not None:
                        self.assertIn(b"\r\n" + line + b"\r\n", came.raw)
                    count += 1
        self.assertEqual(count, len(self.hows) * (len(kinds) - len(self.left_out)))


class FromTheNextHop(OddResponses):
    def setUp(self):
        self.caller = self.client()
        self.answers = {}
        self.hop.rule = lambda hop, message: message.method == "INVITE" and hop.respond(message, 180, "Ringing")

    def ask(self):
        invite = request("INVITE", headers=[odd_messages.PASSING["lower Via of a container"]])
        self.caller.send(invite)
        (seen,) = self.hop.wait(invite.call_id, "INVITE")
        # The hop's thread writes the 180 where the test is about to write: not before that is whole.
        while True:
            message = self.caller.receive()
            if message.status >= 200:
                self.answers.setdefault(message.call_id, message)
            elif message.status == 180 and message.call_id == invite.call_id:
                return seen

    def send(self, pieces, message):
        for piece in pieces:
            self.hop.send(piece, message.origin)

    def final(self, call_id):
        while call_id not in self.answers:
            message = self.caller.receive_final()
            self.answers.setdefault(message.call_id, message)
        return self.answers[call_id]


class FromTheNextHopOverTcpTest(FromTheNextHop, scene.SceneTest):
    transport = "tcp"
    config = {"edge": {"shards": 1}}  # One connection: what is pipelined belongs together.


class FromTheNextHopOverUdpTest(FromTheNextHop, scene.SceneTest):
    transport = "udp"
    hows = ("whole",)
    left_out = ("a body beyond the limit",)  # It fits no datagram.


class FromATelephoneTest(OddResponses, scene.SceneTest):
    """A telephone outside, registered by way of the edge, is called from inside and answers over TLS."""

    transport = "tcp"
    dropped = ("Content-Length again",)
    def setUp(self):
        self.hop.rule = traffic.registrar
        self.phone = self.client()
        registered = self.phone.exchange(request(
            "REGISTER", uri="sip:edge.example", to="<sip:alice@a.example>", omit=("contact",),
            headers=["Supported: path", "Contact: <sip:alice@192.0.2.9:5061;transport=tls>"]))
        self.path = registered.header("x-path")
        self.server = Inside("tcp", self.edge.listener_port("core"))
        self.addCleanup(self.server.close)

    def ask(self):
        invite = self.server.request("INVITE", "sip:alice@192.0.2.9:5061;transport=tls", "z9hG4bK" + unique("r"),
                                     to="<sip:alice@a.example>", headers=[
                                         "Route: " + self.path, odd_messages.PASSING["lower Via of a container"]])
        self.server.send(invite)
        while True:
            message = self.phone.receive()
            if message.method == "INVITE" and message.call_id == invite.call_id:
                self.phone.send(response_to(message, 180, "Ringing"))
                return message

    def send(self, pieces, message):
        self.phone.send_pieces(pieces)

    def final(self, call_id):
        while True:
            message = self.server.receive(call_id, "INVITE")
            if message.status >= 200:
                return message


if __name__ == "__main__":
    scene.main()
