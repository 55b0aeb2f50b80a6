"""Corpora of nasty messages over TLS, each with its outcome.

RFC 4475 and RFC 5118 are read from the folder that SALLYPORT_CORPORA names; their bytes are not ours to commit. The
seeds and the identity table are in tests/corpus. The certificate names every From host of the corpora,
`domains` every Request-URI host, so what is refused is refused for the message itself.
"""
import os
import re
import unittest

from harness import scene, tls_client
from harness.messages import Message, request

CORPORA = os.environ.get("SALLYPORT_CORPORA", "")
CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "corpus")

FORWARD = "forward"  # Reaches the next hop, its 200 comes back.
DROP = "drop"        # No answer, nothing forwarded, the connection lives on.
CLOSE = "close"      # No answer and an end.


class Outcome:
    """What may happen to one message: FORWARD, DROP, CLOSE or status codes; `closes` if the connection must end."""

    def __init__(self, *allowed, closes=None, messages=1):
        self.allowed = allowed
        self.closes = closes
        self.messages = messages


# Every file of rfc4475/index.tsv. What an edge on TLS does, and where that is not the obvious reading, why.
RFC4475 = {
    "wsinv": Outcome(FORWARD),
    "intmeth": Outcome(FORWARD),
    "esc01": Outcome(FORWARD),     # example.net, not example.com, is the host.
    "escnull": Outcome(FORWARD),
    "esc02": Outcome(FORWARD),     # A method that looks like REGISTER after unescaping, and is not.
    "lwsdisp": Outcome(FORWARD),
    "longreq": Outcome(FORWARD),
    # Trailing octets exist only in datagrams: on a stream this is two pipelined requests, and the five octets that the
    # second has beyond its Content-Length ("C", CRLF, CRLF) are a third message that is none.
    "dblreq": Outcome(FORWARD, closes=True, messages=2),
    "semiuri": Outcome(FORWARD),
    "transports": Outcome(FORWARD),
    "mpart01": Outcome(FORWARD),
    "unreason": Outcome(DROP),     # Responses of transactions that we do not have (RFC 3261 §16.7 step 1).
    "noreason": Outcome(DROP),
    "badinv01": Outcome(400),
    "clerr": Outcome(CLOSE),       # 9999 octets are awaited until the message deadline; see the test.
    "ncl": Outcome(400, closes=True),
    "scalar02": Outcome(400),
    "scalarlg": Outcome(DROP),
    "quotbal": Outcome(400),
    "ltgtruri": Outcome(400),
    "lwsruri": Outcome(400),
    "lwsstart": Outcome(400),      # The RFC lets a lenient element accept; our grammar is strict.
    "trws": Outcome(400),          # Likewise.
    "escruri": Outcome(400),
    "baddate": Outcome(FORWARD),   # A proxy does not need Date.
    "regbadct": Outcome(FORWARD),  # Contact is the registrar's to judge.
    "badaspec": Outcome(400),
    "baddn": Outcome(400),         # The file lacks its final CRLF; sent with it, or it would never be complete.
    "baddn-terminated": Outcome(400),
    "badvers": Outcome(505),
    "mismatch01": Outcome(400),
    "mismatch02": Outcome(400),    # 400 or 501; a proxy has no 501.
    "bigcode": Outcome(DROP),
    "badbranch": Outcome(FORWARD, 400),  # An empty branch is matched as RFC 2543 would, or refused.
    "insuf": Outcome(400),
    "unkscm": Outcome(416),
    "novelsc": Outcome(416),
    "unksm2": Outcome(403),        # From is http: no domain, no identity.
    "bext01": Outcome(420),
    "invut": Outcome(FORWARD),
    "regaut01": Outcome(FORWARD),
    "multi01": Outcome(400),
    "mcl01": Outcome(400, closes=True),
    "bcast": Outcome(DROP),
    "zeromf": Outcome(483),        # For a user of ours, so it is not to us.
    "cparam01": Outcome(FORWARD),
    "cparam02": Outcome(FORWARD),
    "regescrt": Outcome(FORWARD),
    "sdp01": Outcome(FORWARD),
    "inv2543": Outcome(400, closes=True),  # No Content-Length on a stream (RFC 3261 §18.3).
    "test": Outcome(DROP, 400),    # Without a Via there is nothing to answer with.
}

RFC5118 = {
    "ipv6-good": Outcome(FORWARD),
    "ipv6-bad": Outcome(400),
    "port-ambiguous": Outcome(FORWARD),
    "port-unambiguous": Outcome(FORWARD),
    "via-received-param-with-delim": Outcome(FORWARD),
    "via-received-param-no-delim": Outcome(FORWARD),
    "ipv6-in-sdp": Outcome(FORWARD),
    "mult-ip-in-header": Outcome(FORWARD),
    "mult-ip-in-sdp": Outcome(FORWARD),
    "ipv4-mapped-ipv6": Outcome(FORWARD),
    "ipv6-bug-abnf-3-colons": Outcome(400),  # RFC 5954 corrects the grammar; three colons are no address.
    "ipv6-correct-abnf-2-colons": Outcome(FORWARD),
}

FROM_HOSTS = ("example.com", "example.net", "example.org", "ift.client.example.net", "east.example.com")
REQUEST_URI_HOSTS = ("edge.example", "example.com", "example.net", "example.org", "company.com",
                     "chair-dnrc.example.com", "registrar.example.com", "host.example.net", "[2001:db8::10]",
                     "[2001:db8::10:5070]", "[2001:db8::192.0.2.1]")


def unfolded(values):
    """esc01 and wsinv of RFC 4475 and IB-baseline-13 begin a value on a continuation line: it leaves on one line."""
    return [value.strip() for value in values]


def read(path):
    with open(path, "rb") as data:
        return data.read()


class CorpusTest(scene.SceneTest):
    """Sends one message on a connection of its own and finds out what became of it."""

    config = {"timeouts": {"message": "2s"}}
    certificate = (scene.DOMAIN,)

    own_uri = "sip:alice@a.example"

    def outcome(self, data, probe, answers_due=0):
        """([final status...], [requests forwarded], closed) of `data` on a fresh connection. `answers_due`: so many
        finals are waited for; one of over 1300 bytes goes another way inside than the barrier and may come later."""
        client = tls_client.TlsClient(self.edge.port, self.context(*self.certificate))
        mark = len(self.hop.messages)
        # Forwarded and answered after everything in front of it: when its answer is here, all others should be.
        barrier = request("OPTIONS", sender="<%s>;tag=p" % self.own_uri)
        answers, served, closed = [], False, False
        try:
            client.send(b"\r\n\r\n")
            client.receive_keep_alive()  # The handshake is over on both sides.
            try:
                client.send(data)
                if probe:
                    client.send(barrier)
            except tls_client.Closed:
                pass  # What it said before it closed is still to be read.
            while not served or len(answers) < max(answers_due, len(self.forwarded(mark, barrier))):
                answer = client.receive_final()
                if answer.call_id == barrier.call_id:
                    served = True
                else:
                    answers.append(answer.status)
        except (tls_client.Closed, ConnectionError):
            closed = True
        finally:
            client.close_quietly()
        return answers, self.forwarded(mark, barrier), closed

    def forwarded(self, mark, barrier):
        return [m for m in self.hop.messages[mark:] if m.call_id != barrier.call_id]

    def check(self, name, data, wanted):
        mark = len(self.hop.messages)
        answers, forwarded, closed = self.outcome(data, probe=wanted.allowed != (CLOSE,),
                                                  answers_due=0 if {DROP, CLOSE} & set(wanted.allowed) else 1)
        if wanted.closes and wanted.allowed == (FORWARD,):  # Nothing that was answered tells that it has all arrived.
            self.hop.wait_messages(mark + wanted.messages)
            forwarded = self.hop.messages[mark:]
        was = (answers, [m.start_line for m in forwarded], "closed" if closed else "open")
        if forwarded and closed:  # The answer may have come too late.
            self.assertEqual((wanted.allowed, wanted.closes, wanted.messages), ((FORWARD,), True, len(forwarded)),
                             "%s: %r" % (name, was))
        elif forwarded:
            self.assertIn(FORWARD, wanted.allowed, "%s: %r" % (name, was))
            self.assertEqual((len(forwarded), answers), (wanted.messages, [200] * wanted.messages),
                             "%s: %r" % (name, was))
        elif answers:
            self.assertIn(answers[0], wanted.allowed, "%s: %r" % (name, was))
            self.assertEqual(len(answers), 1, "%s: %r" % (name, was))
        else:
            self.assertIn(CLOSE if closed else DROP, wanted.allowed, "%s: %r" % (name, was))
        if wanted.closes is not None:
            self.assertEqual(closed, wanted.closes, "%s: %r" % (name, was))
        return forwarded

    def tearDown(self):
        self.assertTrue(self.edge.is_alive())
        self.edge.check_log()
        self.edge.wait_metric("connections_active", 0)


@unittest.skipUnless(CORPORA, "SALLYPORT_CORPORA is not set: RFC 4475 and RFC 5118 are not tested")
class RfcCorpusTest(CorpusTest):
    """RFC 4475 and RFC 5118, every message."""

    config = {"timeouts": {"message": "2s"}, "edge": {"domains": list(REQUEST_URI_HOSTS)}}
    certificate = tuple("URI:sip:" + host for host in FROM_HOSTS)
    own_uri = "sip:probe@example.com"

    def files(self, folder):
        return sorted(name[:-4] for name in os.listdir(os.path.join(CORPORA, folder)) if name.endswith(".dat"))

    def test_rfc4475(self):
        self.assertEqual(set(self.files("rfc4475")), set(RFC4475), "every file has an outcome")
        for name, wanted in RFC4475.items():
            data = read(os.path.join(CORPORA, "rfc4475", name + ".dat"))
            if name == "baddn":
                data += b"\r\n"
            with self.subTest(message=name):
                self.check(name, data, wanted)

    def test_rfc4475_bodies_and_user_parts_pass_untouched(self):
        for name in ("mpart01", "escnull", "esc01", "esc02", "semiuri", "intmeth", "wsinv"):
            with self.subTest(message=name):
                data = read(os.path.join(CORPORA, "rfc4475", name + ".dat"))
                # Transactions of the test above may linger.
                data = data.replace(b"z9hG4bK", b"z9hG4bKagain").replace(b"=390skdjuw", b"=390skdjuwagain")
                (forwarded,) = self.check(name, data, RFC4475[name])
                self.assertEqual(forwarded.body, data.partition(b"\r\n\r\n")[2])
                self.assertEqual(forwarded.raw.split(b"\r\n", 1)[0], data.split(b"\r\n", 1)[0])
                sent = Message(data)
                for header in ("from", "to", "call-id", "contact"):
                    self.assertEqual(forwarded.all(header), unfolded(sent.all(header)))

    def test_rfc5118(self):
        self.assertEqual(set(self.files("rfc5118/wire-cl-fixed")), set(RFC5118))
        for name, wanted in RFC5118.items():
            with self.subTest(message=name):
                self.check(name, read(os.path.join(CORPORA, "rfc5118", "wire-cl-fixed", name + ".dat")), wanted)


# tests/corpus/cve-seeds: the outcome by file name; the first pattern that matches. What a row of the index leaves open
# (forward or refuse) stays open here: the point is that nothing crashes, hangs or is smuggled.
SEEDS = [
    (r"via-branch-65536", Outcome(DROP)),  # Read past; without a whole Via there is nothing to answer with.
    (r"from-tag-(16384|65536)|cseq-long-method|header-64k|headers-10000|multipart-bigboundary",
     Outcome(400, 513)),
    (r"fold-10000|to-params-many", Outcome(FORWARD, 400, 513)),
    (r"from-tag-|via-branch-", Outcome(FORWARD)),
    (r"xheader-", Outcome(FORWARD)),
    (r"to-\w+-colon", Outcome(400)),
    (r"via-empty|via-semicolon|via-only-comma", Outcome(400, DROP)),
    (r"via-2-broken", Outcome(FORWARD)),  # The topmost alone decides.
    (r"auth-param-", Outcome(FORWARD, 400)),
    (r"to-param-trunc", Outcome(400)),
    (r"ruri-edge-", Outcome(400, 416, 403)),  # 403: readable, and nobody's domain.
    (r"cl-0+5", Outcome(FORWARD, 400)),
    (r"cl-", Outcome(400, 513, closes=True)),
    (r"cseq-(2147483647|00000000001)", Outcome(FORWARD)),
    (r"cseq-", Outcome(400)),
    (r"accept-many", Outcome(FORWARD, 400, 513)),
    (r"multipart-", Outcome(FORWARD)),
    (r"display-slash|from-slash-only", Outcome(400)),
    (r"from-control-display", Outcome(400, FORWARD)),
    (r"empty-header-name", Outcome(400)),
    (r"hep3", Outcome(CLOSE, 400)),
    (r"http-get|ws-upgrade", Outcome(400, CLOSE)),
    (r"crlf-flood|double-crlf-ping", Outcome(DROP)),
    (r"ttl-loop-via", Outcome(FORWARD, 482, 483)),  # The Vias name us, but no branch of ours: no loop that we know of.
    (r"mf-0", Outcome(483, 200)),
    (r"mf-", Outcome(400)),
    (r"require-unknown", Outcome(420)),
    (r"digest-challenge-resp|resp-no-via", Outcome(DROP, CLOSE)),
    (r"invite-then-fin", Outcome(FORWARD)),
    (r"utf16|nul-in-start", Outcome(400, CLOSE)),
]


class SeedsTest(CorpusTest):
    """Seeds written from the mechanisms of published bugs."""

    config = {"timeouts": {"message": "2s"}, "edge": {"domains": ["edge.example", "a.example", "upstream.example"]}}

    def test_every_seed_has_its_outcome(self):
        folder = os.path.join(CORPUS, "cve-seeds")
        names = sorted(name for name in os.listdir(folder) if name.endswith(".dat"))
        self.assertGreater(len(names), 90)
        for name in names:
            with self.subTest(seed=name):
                wanted = next(outcome for pattern, outcome in SEEDS if re.match(pattern, name))
                if name == "hep3.dat":  # Six bytes of another protocol: incomplete until the deadline.
                    wanted = Outcome(CLOSE)
                self.check(name, read(os.path.join(folder, name)), wanted)

    def test_seeds_of_one_peer_on_one_connection_after_the_other_leak_nothing(self):
        folder = os.path.join(CORPUS, "cve-seeds")
        context = self.context()
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".dat"):
                continue
            # Sent and abandoned in three ways, with half of it too: no transaction and no connection may stay behind.
            data = read(os.path.join(folder, name))
            for part, end in ((data, "reset"), (data[:len(data) // 2], "close"), (data, "close_without_notify")):
                client = tls_client.TlsClient(self.edge.port, context)
                try:
                    client.send(part)
                except (tls_client.Closed, OSError):
                    pass
                getattr(client, end)()
        self.edge.wait_metric("connections_active", 0)
        # An INVITE that was accepted stays for 32 s, as RFC 6026 says, whoever has left.
        self.edge.wait_metric("sip_transactions_active", 0, kind="non_invite")


# identity-bypass.tsv, rows outside `certificate` and `direction` that need what later versions bring.
LATER = {}

# Rows whose verdict is more than the column says. 513 for what is beyond the header limit: the row itself allows 400,
# 413 or a close, and the verdict table says 513.
VERDICTS = {
    "IB-host-35": (400, 513),
    "IB-header-structure-26": (403, 400, 513),
    "IB-host-01": (200, 403),  # One trailing dot: the same DNS name; the row allows either if it is consistent.
    "IB-uri-params-05": (200, 400),
}


def unescape(text):
    """C escapes and {repeat:N:text} of the table, as bytes."""
    def expand(found):
        return found.group(2) * int(found.group(1))
    text = re.sub(r"\{repeat:(\d+):((?:[^{}])*)\}", expand, text)
    simple = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
    out, at = b"", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            kind = text[at + 1]
            if kind == "x":
                out += bytes([int(text[at + 2:at + 4], 16)])
                at += 4
                continue
            if kind in simple:
                out += simple[kind]
                at += 2
                continue
        out += text[at].encode("utf-8")
        at += 1
    return out


def rows():
    with open(os.path.join(CORPUS, "identity-bypass.tsv"), encoding="utf-8") as table:
        names = None
        for line in table:
            if line.startswith("#"):
                continue
            # Only the line end goes: a raw field may end in a space that matters.
            fields = line.rstrip("\n").split("\t")
            if names is None:
                names = fields
                continue
            yield dict(zip(names, fields))


class IdentityBypassTest(scene.SceneTest):
    """Every way to be taken for somebody else, whole, in single bytes, and between two pipelined requests."""

    def build(self, row):
        """The request(s) that a row describes."""
        raw = row["raw"]
        if row["id"] == "IB-framing-01":
            return [request(), request(sender="<sip:bob@b.example>;tag=1")]
        if row["id"] == "IB-framing-12":
            return [request(omit=("content-length",))]
        if row["id"] == "IB-header-structure-22":
            return [request(from_lines=b"")]
        if raw.startswith("REGISTER; "):
            lines = unescape(raw[len("REGISTER; "):]).replace(b";tag=1 To:", b";tag=1\r\nTo:")
            return [request("REGISTER", uri="sip:edge.example", from_lines=lines, omit=("to", "contact"))]
        lines = unescape(raw)
        if row["id"] == "IB-header-structure-16":  # The line is to follow the start line directly.
            wanted = request(from_lines=b"")
            head, _, rest = wanted.bytes.partition(b"\r\n")
            wanted.bytes = head + b"\r\n" + lines + b"\r\n" + rest
            return [wanted]
        own_length = re.search(rb"\r\nContent-Length:", lines) is not None
        body = b"hello" if b"Transfer-Encoding" in lines else b""
        wanted = request(from_lines=lines, omit=("content-length",) if own_length else (), body=body)
        return [wanted]

    def verdicts(self, row):
        return VERDICTS.get(row["id"]) or ({"accept": 200, "reject-403": 403, "reject-400": 400}[row["expected"]],)

    def send(self, how, client, wanted):
        data = b"".join(one.bytes for one in wanted)
        if how == "single bytes":
            client.send_pieces(data[n:n + 1] for n in range(len(data)))
        else:
            client.send(data)

    def check(self, row, how):
        client = self.client(*[part.strip() for part in row["certificate_identities"].split(",")])
        wanted = self.build(row)
        own = row["certificate_identities"].split("sip:")[-1].replace("DNS:", "")
        covered = "<sip:%s>;tag=n" % (own if "@" in own else "neighbour@" + own)
        neighbours = []
        if how == "pipelined" and not own.startswith("*"):
            neighbours = [request(sender=covered), request(sender=covered)]
        sent = neighbours[:1] + wanted + neighbours[1:]
        mark = len(self.hop.messages)
        answers, closed = {}, False
        try:
            self.send(how, client, sent)
        except (tls_client.Closed, OSError):
            pass
        try:
            while len(answers) < len(sent):
                answer = client.receive_final()
                answers[answer.call_id] = answer
        except (tls_client.Closed, ConnectionError):
            closed = True
        was = "%s, %s: %r" % (row["id"], how, answers)
        # Of a message beyond the header limit not even a Call-ID may have been read.
        last = answers.get(wanted[-1].call_id) or answers.get(None)
        if last is None and closed and 513 in self.verdicts(row):
            return  # A peer that goes on far beyond the bound may meet the reset before the answer.
        self.assertIsNotNone(last, was)
        self.assertIn(last.status, self.verdicts(row), was)
        for one in sent:
            if one is wanted[-1]:
                accepted = last.status == 200
            elif one.call_id in answers:
                accepted = answers[one.call_id].status == 200
                self.assertTrue(accepted, was)
            else:
                # Only a message whose end cannot be trusted may cost its neighbours their answer: the connection ends
                # behind it. What came before it has been forwarded all the same.
                self.assertTrue(closed and last.status in (400, 513), was)
                accepted = one not in neighbours[1:]
                if accepted:
                    self.hop.wait(one.call_id)
            self.assertEqual(len(self.hop.seen(one.call_id)), 1 if accepted else 0, was)
        known = {one.call_id for one in sent}
        smuggled = [message for message in self.hop.messages[mark:] if message.call_id not in known]
        self.assertEqual(smuggled, [], was)
        if last.status == 200:
            self.check_forwarded(row, self.hop.seen(wanted[-1].call_id)[0], wanted[-1], was)

    def check_forwarded(self, row, seen, wanted, was):
        """The bytes that were judged are the bytes that arrive, and what is to be removed is gone."""
        self.assertEqual(len(seen.all("from")), 1, was)
        self.assertEqual(seen.header("from"), Message(wanted.bytes).header("from").strip(), was)
        asserted = seen.all("p-asserted-identity")
        self.assertEqual(len(asserted), 1, was)
        self.assertNotIn("b.example>", asserted[0], was)
        if row["action"].startswith("remove") and "P-" in row["raw"].upper():
            self.assertNotIn("bob@b.example", "".join(asserted))
            self.assertNotIn("tel:", "".join(asserted))

    def test_every_row(self):
        count = 0
        for row in rows():
            if row["category"] in ("certificate", "direction") or row["id"] in LATER:
                continue
            count += 1
            for how in ("whole", "single bytes", "pipelined"):
                with self.subTest(row=row["id"], how=how):
                    self.check(row, how)
        self.assertGreater(count, 90)

    def test_the_log_stayed_one_line_per_event(self):
        # Rows with line ends and control characters went through it; every line is one JSON object.
        client = self.client()
        for sender in ('"x\\\r\n y" <sip:alice@b.example>;tag=1', '"{\\"level\\":\\"fake\\"}" <sip:a@b.example>;tag=1',
                       '"\u202e\u2028" <sip:a@b.example>;tag=1'):
            client.exchange(request(sender=sender))
        for event in self.edge.events():
            self.assertIn("level", event)
            self.assertNotEqual(event["level"], "fake")


if __name__ == "__main__":
    scene.main()
