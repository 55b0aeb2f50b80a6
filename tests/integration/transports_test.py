"""Every transport in both zones, over IPv4 and IPv6: who is served where, and from where a response counts."""
import socket

from harness import scene
from harness.edge import SECONDS
from harness.messages import Framer, Message, request, response_to, via_parameter
from harness.next_hop import NextHop, silent


class PlainPeer:
    """A UDP or TCP socket that speaks SIP in clear: a server inside, or anybody outside."""

    def __init__(self, transport, port, host="127.0.0.1", source=None):
        self.transport = transport
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(family, kind)
        self._socket.settimeout(SECONDS)
        if source is not None or transport == "udp":
            self._socket.bind((source or host, 0))
        self._socket.connect((host, port))
        self.host, self.port = self._socket.getsockname()[:2]
        self._framer = Framer()

    @property
    def via(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "SIP/2.0/%s %s:%d;branch=" % (self.transport.upper(), host, self.port)

    def request(self, method="MESSAGE", **parts):
        parts.setdefault("branch", "z9hG4bK" + scene.messages.unique("p"))
        parts.setdefault("sender", "<sip:carol@edge.example>;tag=1")
        return request(method, via=self.via + parts["branch"], **parts)

    def send(self, message):
        self._socket.sendall(getattr(message, "bytes", message))

    def receive(self):
        if self.transport == "udp":
            return Message(self._socket.recv(65536))
        while True:
            message = self._framer.next()
            if message is not None:
                return Message(message)
            raw = self._socket.recv(65536)
            if not raw:
                raise AssertionError("the edge closed the connection")
            self._framer.feed(raw)

    def exchange(self, message):
        self.send(message)
        return self.receive()

    def ping(self):
        """A keep-alive, and whatever comes back (RFC 5626 §4.4.1)."""
        self.send(b"\r\n\r\n")
        return self._socket.recv(16)

    def close(self):
        self._socket.close()


class TransportsTest(scene.SceneTest):
    """Base: plain listeners beside the usual ones."""

    def plain(self, transport, listener, edge=None, **more):
        made = PlainPeer(transport, (edge or self.edge).listener_port(listener), host=self.host, **more)
        self.addCleanup(made.close)
        return made


class InsideListeners:
    """Servers inside reach each other through the edge over UDP and TCP; run below for both families."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"].append(cls.inside("core-tcp", "tcp"))
        return config

    def check(self, transport, listener):
        peer = self.plain(transport, listener)
        for method in ("MESSAGE", "OPTIONS", "INVITE"):
            wanted = peer.request(method)
            answer = peer.exchange(wanted)
            if method == "INVITE":
                self.assertEqual(answer.status, 100)
                answer = peer.receive()
            self.assertEqual(answer.status, 200, answer.raw)
            self.assertEqual([via_parameter(via, "branch") for via in answer.vias()], [wanted.branch])
            (seen,) = self.hop.seen(wanted.call_id)
            self.assertEqual(len(seen.vias()), 2)
            self.assertIsNone(via_parameter(seen.vias()[1], "received"), "its sent-by says where it is")

    def test_rfc3261_18_requests_from_inside_over_udp(self):
        self.check("udp", "core")

    def test_rfc3261_18_requests_from_inside_over_tcp(self):
        self.check("tcp", "core-tcp")

    def test_rfc3261_18_2_1_received_and_rport(self):
        peer = self.plain("udp", "core")
        wanted = request(via="SIP/2.0/UDP phone.invalid;rport;branch=z9hG4bKreceived", branch="z9hG4bKreceived",
                         sender="<sip:carol@edge.example>;tag=1")
        self.assertEqual(peer.exchange(wanted).status, 200, "it came to the port that the request left from")
        (seen,) = self.hop.seen(wanted.call_id)
        self.assertEqual(via_parameter(seen.vias()[1], "received").strip("[]"), self.host)
        self.assertEqual(via_parameter(seen.vias()[1], "rport"), str(peer.port))

    def test_rfc3261_18_3_content_length_is_added_for_streams(self):
        peer = self.plain("udp", "core")
        wanted = peer.request(omit=("content-length",), body="hi")
        self.assertEqual(peer.exchange(wanted).status, 200)
        (seen,) = self.hop.seen(wanted.call_id)
        self.assertEqual((seen.header("content-length"), seen.body), ("2", b"hi"))

    def test_rfc5626_4_4_1_ping_is_answered_over_tcp(self):
        self.assertEqual(self.plain("tcp", "core-tcp").ping(), b"\r\n")

    def test_rfc5630_sips_in_clear_is_480(self):
        for transport, listener in (("udp", "core"), ("tcp", "core-tcp")):
            with self.subTest(transport=transport):
                peer = self.plain(transport, listener)
                wanted = peer.request(uri="sips:bob@edge.example")
                with self.rejected("sips"):
                    answer = peer.exchange(wanted)
                self.assertEqual(answer.status, 480)
                self.assertRegex(answer.header("warning"), r"^380 ")
                self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_tls_from_outside(self):
        client = self.client()
        wanted = request()
        self.assertEqual(client.exchange(wanted).status, 200)
        (seen,) = self.hop.seen(wanted.call_id)
        self.assertEqual(seen.header("p-asserted-identity"), "<sip:alice@a.example>")


class InsideIpv4Test(InsideListeners, TransportsTest):
    pass


class InsideIpv4TcpTest(InsideListeners, TransportsTest):
    transport = "tcp"

    @classmethod
    def inside(cls, name="core", transport=None):
        return super().inside(name, transport or "udp")


class InsideIpv6Test(InsideListeners, TransportsTest):
    host = "::1"


class PlainOutsideTest(TransportsTest):
    """Without TLS nobody outside proves anything: each request is refused, and nothing of it goes on."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"] += [cls.outside("open-udp", transport="udp"), cls.outside("open-tcp", transport="tcp")]
        return config

    def test_every_request_is_403(self):
        for transport in ("udp", "tcp"):
            peer = self.plain(transport, "open-" + transport)
            for method in ("MESSAGE", "INVITE", "REGISTER", "OPTIONS", "BYE", "CANCEL"):
                with self.subTest(transport=transport, method=method):
                    wanted = peer.request(method, sender="<sip:alice@a.example>;tag=1")
                    with self.rejected("no-identity"):
                        answer = peer.exchange(wanted)
                    self.assert_refused(answer, 403, "Mutual TLS Required")
                    self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_acknowledgements_are_not_answered(self):
        for transport in ("udp", "tcp"):
            with self.subTest(transport=transport):
                peer = self.plain(transport, "open-" + transport)
                ack, probe = peer.request("ACK"), peer.request()
                with self.counted("sip_acks_dropped_total", reason="refused"):
                    peer.send(ack)
                    # The edge serves one socket in order: the first answer is of what came second.
                    self.assertEqual(peer.exchange(probe).call_id, probe.call_id)
                self.assertEqual(self.hop.seen(ack.call_id), [])

    def test_responses_are_not_answered_and_count_for_nothing(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = silent
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)[:1]
        for transport in ("udp", "tcp"):
            with self.subTest(transport=transport):
                peer = self.plain(transport, "open-" + transport)
                with self.counted("sip_responses_dropped_total", reason="source"):
                    peer.send(response_to(seen, 200, "Forged"))
                    probe = peer.request()
                    self.assertEqual(peer.exchange(probe).call_id, probe.call_id)
        self.hop.respond(seen, 404, "Genuine")
        self.assertEqual(client.receive_final(wanted.call_id).reason, "Genuine")


class OutsideNextHop:
    """From inside to a configured next hop outside, in clear; run below for UDP and TCP."""

    next_hops = 1

    @classmethod
    def prepare(cls):
        cls.partner = NextHop(cls.partner_transport)
        cls.hops.append(cls.partner)

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["next-hop"] = [{"name": "core", "targets": [cls.hop.target], "zone": "inside"},
                              {"name": "partner", "targets": [cls.partner.target], "zone": "outside"}]
        config["route"] = [{"zone": "inside", "domain": "partner.example", "next-hop": "partner"}]
        config["listener"].append(cls.outside("open", transport=cls.partner_transport))
        return config

    def begin(self):
        """A request on its way to the partner, who has not answered yet."""
        peer = self.plain("udp", "core")
        wanted = peer.request(uri="sip:dave@partner.example", headers=["P-Asserted-Identity: <sip:carol@edge.example>"])
        self.partner.rules[wanted.call_id] = silent
        peer.send(wanted)
        return peer, self.partner.wait(wanted.call_id)[0]

    def test_request_and_response(self):
        peer, seen = self.begin()
        self.assertRegex(seen.vias()[0], r"^SIP/2\.0/%s edge\.example:" % self.partner_transport.upper())
        self.assertIsNone(seen.header("p-asserted-identity"), "the outside is not trusted (RFC 3325 §5)")
        self.assertEqual(self.hop.seen(seen.call_id), [])
        self.partner.respond(seen, 200, "OK")
        self.assertEqual(peer.receive().status, 200)

    def test_response_counts_only_from_where_the_request_went(self):
        peer, seen = self.begin()
        forged = response_to(seen, 200, "Forged")
        forgers = [self.plain(self.partner_transport, "open", source="127.0.0.2"), self.client()]
        for forger in forgers:
            with self.counted("sip_responses_dropped_total", reason="source"):
                forger.send(forged)
        inside = self.plain("udp", "core", source="127.0.0.3")
        with self.counted("sip_responses_dropped_total", reason="source"):
            inside.send(forged)
        self.partner.respond(seen, 404, "Genuine")
        self.assertEqual(peer.receive().reason, "Genuine")

    def test_request_of_the_partner_is_refused(self):
        peer, seen = self.begin()
        self.partner.respond(seen, 200, "OK")
        self.assertEqual(peer.receive().status, 200)
        back = request(sender="<sip:dave@partner.example>;tag=1",
                       via="SIP/2.0/%s 127.0.0.1:%d;branch=z9hG4bKback" % (
                           self.partner_transport.upper(), self.partner.port))
        with self.rejected("no-identity"):
            if self.partner_transport == "tcp":
                self.partner.send(back.bytes, seen.origin)
            else:
                self.plain("udp", "open").send(back)
        self.assertEqual(self.hop.seen(back.call_id), [])


class OutsideUdpNextHopTest(OutsideNextHop, TransportsTest):
    partner_transport = "udp"


class OutsideTcpNextHopTest(OutsideNextHop, TransportsTest):
    partner_transport = "tcp"


if __name__ == "__main__":
    scene.main()
