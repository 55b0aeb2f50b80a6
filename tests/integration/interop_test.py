"""Whole calls between programs that we did not write, through the real binary: baresip and Kamailio outside over mutual
TLS, Kamailio and SIPp inside over UDP and TCP, NSD for names. The configurations are those of deploy/interop."""
import itertools
import re
import time

from harness import edge as edge_process
from harness import kamailio, kamailio_scene, scene
from harness.baresip import Baresip
from harness.certificates import Authority
from harness.dns_server import DnsServer
from harness.edge import free_port
from harness.sipp import Sipp

B = "b.example"
TRANSPORTS = ("udp", "tcp")  # Of the inside.


class InteropTest(kamailio_scene.KamailioScene):
    """The profile of deploy/interop/kamailio, and a name server for both sides."""

    _users = itertools.count(1)

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.dns = cls.started(DnsServer(cls.folder, cls.records()))

    @classmethod
    def records(cls):
        return ["edge A 127.0.0.1"]

    @classmethod
    def usual_config(cls):
        return edge_process.merge(super().usual_config(), {"dns": {"servers": [cls.dns.address]}})

    def sipp(self, *arguments, **more):
        run = Sipp(self.folder, *arguments, **more)
        self.addCleanup(run.stop)
        return run

    def inside_user(self, scenario, transport="udp", user=None):
        """A telephone inside, registered at Kamailio and waiting; returns its SIPp and its URI."""
        uri = "sip:%s@edge.example" % (user or "bob%d" % next(InteropTest._users))
        port = free_port()
        self.sipp("registers", self.registrar.address, transport, port=port,
                  keys={"calling": uri, "called": uri, "registrar": "sip:edge.example"}).wait()
        return self.sipp(scenario, transport=transport, port=port), uri

    def call_from_inside(self, scenario, called, transport="udp", towards=None, status=None, **keys):
        """SIPp calls by way of Kamailio; its SIPp."""
        return self.sipp(scenario, towards or self.registrar.address, transport, status=status,
                         keys=dict({"calling": "sip:carol@edge.example", "called": called}, **keys))


class TelephoneTest(InteropTest):
    """baresip outside, with a certificate for alice@edge.example, registered by way of the edge."""

    def phone(self, user="alice", certified=None, **more):
        name = "%s%d" % (user, next(InteropTest._users))
        certificate = self.authority.leaf("URI:sip:%s@edge.example" % (certified or name))
        phone = Baresip(self.folder, self.edge.port, self.dns, certificate, self.authority.path, name, **more)
        self.addCleanup(phone.stop)
        return phone

    def registered(self, *arguments, **more):
        phone = self.phone(*arguments, **more)
        phone.wait_registered()
        return phone

    def assert_only_by_the_edge(self, phone):
        """baresip opens UDP and TCP as well, and would go around the edge if a Record-Route led it there."""
        around = re.findall(r"(?m)^(?:UDP|TCP) [\d.:]+ -> [\d.:]+\n.*$", phone.output)
        self.assertEqual(around, [])

    def test_registers_with_a_path(self):
        phone = self.registered()
        # Kamailio repeats the Path to a client that knows it (RFC 3327 §5.3), so here one sees what the edge wrote.
        paths = re.findall(r"(?m)^Path: (.*?)\r?$", phone.output)
        self.assertEqual(len(paths), 1, paths)
        self.assertRegex(paths[0], r"^<sip:[^>]*127\.0\.0\.1:%d[^>]*;lr" % self.inside_port)

    def test_another_users_certificate_registers_nothing(self):
        with self.rejected("from-not-covered"):
            phone = self.phone(certified="mallory")
            phone.wait_output(r"(?m)^SIP/2\.0 403 From Not Covered By Certificate\r?$")
        self.call_from_inside("caller_refused", phone.uri, status=404).wait()

    def test_calls_and_hangs_up(self):
        phone = self.registered()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                bob, uri = self.inside_user("callee_is_hung_up", transport)
                start = len(phone.events)
                phone.command("dial", uri)
                phone.wait_event("CALL_ESTABLISHED", start)
                phone.command("hangup")
                bob.wait()
                phone.wait_event("CALL_CLOSED", start)
                invite = bob.received()[0]
                self.assertEqual(invite.header("p-asserted-identity"), "<%s>" % phone.uri)
        self.assert_only_by_the_edge(phone)

    def test_calls_and_is_hung_up(self):
        phone = self.registered()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                bob, uri = self.inside_user("callee_hangs_up", transport)
                start = len(phone.events)
                phone.command("dial", uri)
                phone.wait_event("CALL_ESTABLISHED", start)
                phone.wait_event("CALL_CLOSED", start)
                bob.wait()
        self.assert_only_by_the_edge(phone)

    def test_gives_up_while_it_rings(self):
        phone = self.registered()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                bob, uri = self.inside_user("callee_is_cancelled", transport)
                start = len(phone.events)
                phone.command("dial", uri)
                phone.wait_event("CALL_RINGING", start)
                phone.command("hangup")
                bob.wait()

    def test_puts_a_call_on_hold(self):
        phone = self.registered()
        bob, uri = self.inside_user("callee_is_reinvited")
        phone.command("dial", uri)
        phone.wait_event("CALL_ESTABLISHED")
        start = len(phone.output)
        phone.command("hold")
        phone.wait_output(r"\nACK sip:", start)
        phone.command("hangup")
        bob.wait()
        self.assertIn(b"a=sendonly", bob.received()[2].body)
        self.assert_only_by_the_edge(phone)

    def test_is_called_and_hung_up(self):
        phone = self.registered()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                start = len(phone.events)
                self.call_from_inside("caller_hangs_up", phone.uri, transport).wait()
                phone.wait_event("CALL_CLOSED", start)
        self.assert_only_by_the_edge(phone)

    def test_is_called_and_hangs_up(self):
        phone = self.registered()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                start = len(phone.events)
                caller = self.call_from_inside("caller_is_hung_up", phone.uri, transport)
                phone.wait_event("CALL_ESTABLISHED", start)
                phone.command("hangup")
                caller.wait()
        self.assert_only_by_the_edge(phone)

    def test_is_called_and_the_caller_gives_up(self):
        phone = self.registered(answers="manual")
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                start = len(phone.events)
                self.call_from_inside("caller_cancels", phone.uri, transport).wait()
                phone.wait_event("CALL_CLOSED", start)

    def test_is_called_and_reinvited(self):
        phone = self.registered()
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                self.call_from_inside("caller_reinvites", phone.uri, transport).wait()
        self.assert_only_by_the_edge(phone)

    def test_messages_in_both_directions(self):
        phone = self.registered(contact="message-reader")
        reader, _ = self.inside_user("receives_message", user="message-reader")
        phone.command("message", "from the outside")
        reader.wait()
        self.assertEqual(reader.received()[0].body.strip(), b"from the outside")
        start = len(phone.output)
        self.call_from_inside("sends_message", phone.uri, status=200, text="from the inside").wait()
        phone.wait_output("from the inside", start)

    def test_one_telephone_calls_another(self):
        # In by one connection, through Kamailio, out by another: the edge stands in the way twice. That is no loop:
        # the Request-URI has changed (RFC 3261 §16.3 step 4).
        caller, called = self.registered(), self.registered("dora")
        caller.command("dial", called.uri)
        caller.wait_event("CALL_ESTABLISHED")
        called.wait_event("CALL_ESTABLISHED")
        called.command("hangup")
        caller.wait_event("CALL_CLOSED")
        self.assert_only_by_the_edge(caller)
        self.assert_only_by_the_edge(called)

    def test_a_telephone_that_is_gone_is_430(self):
        phone = self.registered()
        phone.kill()
        with self.rejected("flow-gone"):
            self.call_from_inside("caller_refused", phone.uri, status=430).wait()


class RemoteDomain(InteropTest):
    """Base: Kamailio as b.example, found by NAPTR and SRV, both sides with a certificate of their domain.

    DNS leads to loopback only where a configured next hop outside asks it: each of `partners` is a domain and what its
    [[next-hop]] says besides."""

    partners = {B: {}}

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["next-hop"] += [dict({"name": domain, "zone": "outside", "targets": ["tls:" + domain]}, **more)
                               for domain, more in cls.partners.items()]
        config["route"] = [{"zone": "inside", "domain": domain, "next-hop": domain} for domain in cls.partners]
        return config

    @classmethod
    def prepare(cls):
        cls.remote_tls_port, cls.carol_port = free_port(), free_port()
        super().prepare()
        cls.remote = cls.started(cls.new_remote(cls.authority.leaf("URI:sip:" + B), tls_port=cls.remote_tls_port))

    @classmethod
    def new_remote(cls, certificate, domain=B, tls_port=None, trusted_ca=None):
        return kamailio.RemoteDomain(cls.folder, certificate, trusted_ca or cls.authority.path, cls.outside_port,
                                     cls.carol_port, domain, tls_port=tls_port)

    @classmethod
    def records(cls):
        return super().records() + cls.domain_records("b", [(10, cls.remote_tls_port)])

    @staticmethod
    def domain_records(label, servers):
        """A domain that says by NAPTR and SRV that it wants TLS; `servers` are (priority, port)."""
        made = ['%s NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.%s' % (label, label), "%s A 127.0.0.1" % label]
        for number, (priority, port) in enumerate(servers):
            made += ["_sips._tcp.%s SRV %d 0 %d sip%d.%s" % (label, priority, port, number, label),
                     "sip%d.%s A 127.0.0.1" % (number, label)]
        return made

    def carol(self, scenario):
        """The user of b.example waits."""
        return self.sipp(scenario, port=self.carol_port)

    def call_to(self, scenario, uri, transport="udp", status=None, **keys):
        """A call straight to the edge, so that the caller sees what the edge itself answers."""
        return self.call_from_inside(scenario, uri, transport, "127.0.0.1:%d" % self.inside_port, status, **keys)


class RemoteDomainTest(RemoteDomain):
    """Calls in both directions."""

    CALLS = (("caller_hangs_up", "callee_is_hung_up"), ("caller_is_hung_up", "callee_hangs_up"),
             ("caller_reinvites", "callee_is_reinvited"), ("caller_cancels", "callee_is_cancelled"))

    def call_from_b(self, scenario, called, status=None, **keys):
        return self.sipp(scenario, self.remote.address, status=status,
                         keys=dict({"calling": "sip:carol@" + B, "called": called}, **keys))

    def each_call(self):
        return [(transport, *scenarios) for transport in TRANSPORTS for scenarios in self.CALLS]

    def test_calls_from_the_domain(self):
        for transport, caller, called in self.each_call():
            with self.subTest(transport=transport, called=called):
                bob, uri = self.inside_user(called, transport)
                self.call_from_b(caller, uri).wait()
                bob.wait()
                self.assertEqual(bob.received()[0].header("p-asserted-identity"), "<sip:carol@%s>" % B)

    def test_calls_to_the_domain(self):
        for transport, caller, called in self.each_call():
            with self.subTest(transport=transport, called=called):
                carol = self.carol(called)
                self.call_from_inside(caller, "sip:carol@" + B, transport).wait()
                carol.wait()

    def test_calls_to_the_domain_without_a_server_inside(self):
        # SIPp is the telephone and the edge its outbound proxy. On TCP, what the callee says first comes back on the
        # connection that the caller opened.
        for transport, caller, called in self.each_call():
            with self.subTest(transport=transport, called=called):
                carol = self.carol(called)
                self.call_to(caller, "sip:carol@" + B, transport).wait()
                carol.wait()

    def test_the_domain_sees_names_and_no_addresses(self):
        carol = self.carol("callee_is_hung_up")
        self.call_from_inside("caller_hangs_up", "sip:carol@" + B).wait()
        carol.wait()
        routes = [value for line in carol.received()[0].all("record-route") for value in line.split(",")]
        # Kamailio's own two are on top; then the edge's, the one towards b first (RFC 5658).
        self.assertRegex(routes[2], r"@?edge\.example:%d\b" % self.outside_port)
        self.assertIn("lr", routes[2])

    def test_messages_in_both_directions(self):
        bob, uri = self.inside_user("receives_message")
        self.call_from_b("sends_message", uri, status=200, text="from b").wait()
        bob.wait()
        self.assertEqual(bob.received()[0].body.strip(), b"from b")
        carol = self.carol("receives_message")
        self.call_from_inside("sends_message", "sip:carol@" + B, status=200, text="to b").wait()
        carol.wait()
        self.assertEqual(carol.received()[0].body.strip(), b"to b")

    def test_a_user_of_another_domain_is_refused(self):
        # The ACK that follows is judged as well, and dropped.
        with self.rejected("from-not-covered", lambda change: change >= 1):
            caller = self.sipp("caller_refused", self.remote.address, status=403,
                               keys={"calling": "sip:carol@c.example", "called": "sip:bob@edge.example"}).wait()
        self.assertEqual(caller.received()[-1].reason, "From Not Covered By Certificate")


class WrongCertificateTest(RemoteDomain):
    """Who answers for a domain must prove that domain (RFC 5922 §7.3), whatever DNS says."""

    LABELS = ("other", "subdomain", "untrusted", "expired", "mistrusting")
    partners = {label + ".example": {} for label in ("b",) + LABELS}

    @classmethod
    def records(cls):
        cls.ports = {label: free_port() for label in cls.LABELS}
        return super().records() + [line for label, port in cls.ports.items()
                                    for line in cls.domain_records(label, [(10, port)])]

    def assert_refused_by_the_edge(self, label, certificate, status, reason, phrase=None, cause="", trusted_ca=None):
        """Calls LABEL.example, whose server shows `certificate`; its user hears nothing of it."""
        remote = self.new_remote(certificate, label + ".example", self.ports[label], trusted_ca)
        self.addCleanup(remote.stop)
        carol = self.carol("callee_is_hung_up")
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                with self.rejected(reason):
                    caller = self.call_to("caller_refused", "sip:carol@%s.example" % label, transport, status).wait()
                answer = caller.received()[-1]
                self.assertRegex(answer.header("warning"), r'^399 \S+ "[^"]*%s' % cause)
                if phrase is not None:
                    self.assertEqual(answer.reason, phrase)
        self.assertEqual(carol.received(), [])

    def test_of_another_domain_is_502(self):
        self.assert_refused_by_the_edge("other", self.authority.leaf("URI:sip:c.example", "DNS:c.example"), 502,
                                        "next-hop-identity", "Certificate identity does not match requested domain")

    def test_of_the_servers_name_alone_is_502(self):
        # SRV leads to sip0.subdomain.example, but who was asked for is subdomain.example.
        self.assert_refused_by_the_edge("subdomain", self.authority.leaf("DNS:sip0.subdomain.example"), 502,
                                        "next-hop-identity", "Certificate identity does not match requested domain")

    def test_of_an_unknown_authority_is_503(self):
        stranger = Authority(self.folder, "stranger", "Another CA")
        self.assert_refused_by_the_edge("untrusted", stranger.leaf("URI:sip:untrusted.example"), 503, "next-hop-tls",
                                        cause="(?i:trust|issuer|authority|unknown)")

    def test_that_has_expired_is_503(self):
        expired = self.authority.leaf("URI:sip:expired.example", not_before="20200101000000Z",
                                      not_after="20210101000000Z")
        self.assert_refused_by_the_edge("expired", expired, 503, "next-hop-tls", cause="(?i:expired)")

    def test_of_a_server_that_does_not_believe_ours_is_503(self):
        other = Authority(self.folder, "mistrusting", "A third CA")
        self.assert_refused_by_the_edge("mistrusting", self.authority.leaf("URI:sip:mistrusting.example"), 503,
                                        "next-hop-tls", trusted_ca=other.path)

    def test_of_the_domain_is_believed_all_the_same(self):
        carol = self.carol("callee_is_hung_up")
        self.call_to("caller_hangs_up", "sip:carol@" + B).wait()
        carol.wait()


class SeveralServersTest(RemoteDomain):
    """RFC 3263 §4.3: the next server when one does not answer."""

    partners = {domain: {} for domain in (B, "dead.example", "wrong.example", "moving.example")}

    @classmethod
    def usual_config(cls):
        cls.partners = dict(cls.partners, **{"direct.example": {
            "targets": ["tls:direct.example:%d" % cls.remote_tls_port], "identity": B}})
        return super().usual_config()

    @classmethod
    def records(cls):
        cls.wrong_port = free_port()
        return (InteropTest.records() + cls.domain_records("b", [(10, free_port()), (20, cls.remote_tls_port)]) +
                cls.domain_records("dead", [(10, free_port()), (20, free_port())]) +
                cls.domain_records("wrong", [(10, cls.wrong_port), (20, cls.remote_tls_port)]) +
                ["direct A 127.0.0.1"])

    def test_the_second_is_called_when_the_first_is_dead(self):
        for _ in range(3):
            carol = self.carol("callee_is_hung_up")
            self.call_from_inside("caller_hangs_up", "sip:carol@" + B).wait()
            carol.wait()

    def test_none_that_proves_the_domain_is_502(self):
        wrong = self.new_remote(self.authority.leaf("URI:sip:c.example"), "c.example", self.wrong_port)
        self.addCleanup(wrong.stop)
        with self.rejected("next-hop-identity"):
            self.call_to("caller_refused", "sip:carol@wrong.example", status=502).wait()

    def test_all_dead_is_503(self):
        with self.rejected("next-hop-unreachable"):
            caller = self.call_to("caller_refused", "sip:carol@dead.example", status=503).wait()
        self.assertRegex(caller.received()[-1].header("warning"), r'^399 \S+ ".+"')

    def test_a_domain_that_does_not_exist_is_503(self):
        with self.rejected("next-hop-unreachable"):
            self.call_to("caller_refused", "sip:carol@nowhere.example", status=503).wait()

    def test_an_explicit_port_and_transport_need_no_service_record(self):
        carol = self.carol("callee_is_hung_up")
        called = "sip:carol@direct.example:%d;transport=tls" % self.remote_tls_port
        self.call_from_inside("caller_hangs_up", called).wait()
        carol.wait()

    def test_an_answer_of_dns_is_not_used_for_longer_than_it_says(self):
        self.addCleanup(self.dns.update, self.dns.records)
        others = ["edge A 127.0.0.1", "$TTL 1"]
        self.dns.update(others + self.domain_records("moving", [(10, free_port())]))
        self.call_to("caller_refused", "sip:carol@moving.example", status=503).wait()
        mover = self.new_remote(self.authority.leaf("URI:sip:moving.example"), "moving.example")
        self.addCleanup(mover.stop)
        self.dns.update(others + self.domain_records("moving", [(10, mover.tls_port)]))
        carol = self.carol("receives_message")
        deadline = time.monotonic() + 60.0
        while self.call_to("sends_message", "sip:carol@moving.example", status=200, text="hello").exit_code() != 0:
            self.assertLess(time.monotonic(), deadline, "an answer that has ended is still used")
        carol.wait()


if __name__ == "__main__":
    scene.main()
