"""When the next hop is dead, slow, lying, or somebody else pretends to be it."""
import socket
import time

from harness import edge as edge_process
from harness import loop, messages, next_hop, scene, user_agents
from harness.dns_server import DnsServer
from harness.messages import request, response_to, via_parameter


class DeadNextHopTest(scene.SceneTest):
    transport = "tcp"

    def assert_used_again(self, client):
        """A next hop that has failed several times is left alone, but never for long."""
        deadline = time.monotonic() + 20.0
        while client.exchange(request()).status != 200:
            self.assertLess(time.monotonic(), deadline, "the next hop is alive again and still not used")
            time.sleep(0.1)

    def test_refused_connection_is_503_with_retry_after(self):
        port = edge_process.free_port()
        edge = self.another_edge({"next-hop": [{"name": "core", "zone": "inside",
                                                "targets": ["tcp:127.0.0.1:%d" % port]}]})
        client = self.client(edge=edge)
        for method in ("MESSAGE", "INVITE"):
            with self.subTest(method=method):
                with self.rejected("next-hop-unreachable", edge=edge):
                    answer = client.exchange(request(method))
                self.assert_refused(answer, 503)
                self.assertRegex(answer.header("retry-after"), r"^\d+")
        hop = next_hop.NextHop("tcp", port=port)
        try:
            self.assert_used_again(client)
        finally:
            hop.close()

    def test_next_target_is_tried_when_the_first_is_dead(self):
        dead = "tcp:127.0.0.1:%d" % edge_process.free_port()
        edge = self.another_edge({"next-hop": [{"name": "core", "zone": "inside",
                                            "targets": [dead + ";priority=1", self.hop.target + ";priority=2"]}]})
        client = self.client(edge=edge)
        for _ in range(3):
            self.assertEqual(client.exchange(request()).status, 200)

    def test_connection_that_closes_during_a_transaction(self):
        client = self.client()
        self.assertEqual(client.exchange(request()).status, 200)
        wanted = request()
        self.hop.rules[wanted.call_id] = lambda hop, m: hop.drop_connections()
        with self.rejected("next-hop-unreachable"):
            answer = client.exchange(wanted)
        self.assertIn(answer.status, (500, 503))
        self.assertEqual(client.exchange(request()).status, 200, "a new connection serves the next one")

    def test_connection_that_closes_while_idle(self):
        client = self.client()
        for _ in range(3):
            self.assertEqual(client.exchange(request()).status, 200)
            self.hop.drop_connections()
            # The edge may learn of it only by writing: one refusal is honest, two in a row are not.
            self.assertIn(client.exchange(request()).status, (200, 500, 503))
            self.assertEqual(client.exchange(request()).status, 200)

    def test_nonsense_from_the_next_hop_does_no_harm(self):
        client = self.client()
        for nonsense in (b"HTTP/1.1 200 OK\r\n\r\n", b"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n", b"\0" * 100,
                         b"SIP/2.0 99 Low\r\nContent-Length: 0\r\n\r\n"):
            with self.subTest(nonsense=nonsense):
                wanted = request()
                self.hop.rules[wanted.call_id] = lambda hop, m: (hop.send(nonsense, m.origin),
                                                                hop.respond(m, 200, "OK"))
                answer = client.exchange(wanted)
                self.assertIn(answer.status, (200, 500, 502, 503))
                self.assertTrue(self.edge.is_alive())
        self.assert_used_again(client)


class NoInsideListenerTest(scene.SceneTest):
    """The least of configurations: a next hop over TCP, and no listener for the inside."""

    transport = "tcp"

    @classmethod
    def usual_config(cls):
        return edge_process.merge(super().usual_config(), {"listener": [cls.outside()]})

    def test_requests_carry_the_name_of_the_listener_that_there_is(self):
        client = self.client()
        for method in ("OPTIONS", "INVITE"):
            with self.subTest(method=method):
                wanted = request(method)
                self.assertEqual(client.exchange(wanted).status, 200)
                seen, = self.hop.seen(wanted.call_id)
                self.assertRegex(seen.all("via")[0], r"^SIP/2\.0/TCP edge\.example:%d;" % self.edge.port)


class LyingNextHop:
    """Responses that are late, forged, repeated or from somewhere else; run for UDP and TCP."""

    def dropped(self, change=1):
        return self.counted("sip_responses_dropped_total", change)

    def test_late_response_is_dropped(self):
        client = self.client()
        wanted = request()
        self.assertEqual(client.exchange(wanted).status, 200)
        (seen,) = self.hop.seen(wanted.call_id)
        with self.dropped():
            self.hop.respond(seen, 200, "OK again")
        self.expect_nothing(client)

    def expect_nothing(self, client):
        probe = request()
        client.send(probe)
        self.assertEqual(client.receive().call_id, probe.call_id)

    def test_forged_and_foreign_branches_are_dropped(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)[:1]
        branch = via_parameter(seen.vias()[0], "branch").encode()
        genuine = response_to(seen, 200, "OK")
        forged = [genuine.replace(branch, branch[:n] + (b"1" if branch[n:n + 1] != b"1" else b"2") + branch[n + 1:])
                  for n in range(7, len(branch))]
        forged += [genuine.replace(branch, other) for other in (
            b"z9hG4bK", branch[:-1], branch + b"0", b"z9hG4bKsomebody-else", branch[7:], b"z9hG4bK" + b"0" * 48,
            b"z9hG4bK" + b"f" * 48, b"z9hG4bK" + b"z" * 48)]
        with self.dropped(len(forged)):
            for data in forged:
                self.hop.send(data, seen.origin)
        self.expect_nothing(client)
        self.hop.send(genuine, seen.origin)
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)

    def test_response_of_another_instance_is_dropped(self):
        other = self.another_edge()
        wanted = request()
        self.hop.rules[wanted.call_id] = next_hop.silent
        client = self.client(edge=other)
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)[:1]
        mine = request()
        self.assertEqual(self.client().exchange(mine).status, 200)
        origin = self.hop.seen(mine.call_id)[0].origin
        with self.dropped():
            self.hop.send(response_to(seen, 200, "OK"), origin)
        self.hop.respond(seen, 200, "OK")
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)

    def test_malformed_responses_are_dropped(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)[:1]
        genuine = response_to(seen, 200, "OK")
        malformed = [genuine.replace(b"SIP/2.0 200 OK", b"SIP/2.0 4294967301 Overlarge"),
                     genuine.replace(b"CSeq: 1 MESSAGE", b"CSeq: x MESSAGE"),
                     genuine.replace(b"From:", b"From : <sip:x@y>;tag=1\r\nFrom:")]
        if self.transport == "udp":
            malformed += [b"SIP/2.0 200 OK", b"SIP/2.0 200 OK\r\n\r\n", b"\xff" * 40]
        before = self.edge.metrics()
        for data in malformed:
            self.hop.send(data, seen.origin)
        self.edge.wait_metric("sip_responses_dropped_total", lambda value: value >= before.value(
            "sip_responses_dropped_total") + 2)
        self.hop.send(genuine, seen.origin)
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)

    def test_response_to_another_method_is_not_taken(self):
        client = self.client()
        wanted = request("INVITE")
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)[:1]
        self.hop.send(response_to(seen, 200, "OK").replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"), seen.origin)
        self.hop.respond(seen, 486, "Busy Here")
        while True:
            answer = client.receive()
            if answer.status != 100:
                break
        self.assertEqual((answer.status, answer.header("cseq")), (486, "1 INVITE"))


class LyingNextHopUdpTest(LyingNextHop, scene.SceneTest):
    transport = "udp"

    def test_response_from_another_address_is_dropped(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)[:1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            with self.dropped():
                stranger.sendto(response_to(seen, 200, "OK"), seen.origin)
        self.expect_nothing(client)
        self.hop.respond(seen, 200, "OK")
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)

    def test_repeated_final_of_a_finished_request_is_dropped(self):
        client = self.client()
        wanted = request()
        with self.dropped(2):
            self.hop.rules[wanted.call_id] = lambda hop, m: [hop.respond(m, 200, "OK") for _ in range(3)]
            self.assertEqual(client.exchange(wanted).status, 200)
        self.expect_nothing(client)

    def test_many_transactions_answered_in_reverse(self):
        # All datagrams of one next hop reach the socket of one shard: responses cross shards.
        clients = [self.client() for _ in range(6)]
        wanted = [request() for _ in range(60)]
        for one in wanted:
            self.hop.rules[one.call_id] = next_hop.silent
        for n, one in enumerate(wanted):
            clients[n % len(clients)].send(one)
        seen = [self.hop.wait(one.call_id)[0] for one in wanted]
        for message in reversed(seen):
            self.hop.respond(message, 200, "OK")
        for n, client in enumerate(clients):
            mine = {one.call_id for one in wanted[n::len(clients)]}
            self.assertEqual({client.receive_final().call_id for _ in mine}, mine)

    def test_noise_on_the_inside_socket_changes_nothing(self):
        inside = self.edge.listener_port("core")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            for data in (b"", b"\0", b"\xff" * 1000, b"x" * 60000):
                stranger.sendto(data, ("127.0.0.1", inside))
        self.assertEqual(self.client().exchange(request()).status, 200)


class InsideRequestTest(scene.SceneTest):
    """Requests from the inside: probes are answered; an address proves no domain, so nobody is dialled for it."""

    def ask(self, wanted):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside:
            inside.settimeout(20.0)
            inside.sendto(wanted.bytes, ("127.0.0.1", self.edge.listener_port("core")))
            return messages.Message(inside.recv(65536))

    def test_health_probe_is_answered(self):
        wanted = request("OPTIONS", uri="sip:edge.example", via="SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKprobe")
        answer = self.ask(wanted)
        self.assertEqual((answer.status, answer.call_id), (200, wanted.call_id))

    def test_address_without_a_domain_is_not_dialled(self):
        wanted = request("MESSAGE", uri="sip:alice@192.0.2.9:9", via="SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKout",
                         sender="<sip:bob@edge.example>;tag=1")
        answer = self.ask(wanted)
        self.assertEqual((answer.status, answer.call_id), (502, wanted.call_id))
        self.assertEqual(answer.reason, "Certificate identity does not match requested domain")
        self.assertIn('399 edge.example "an address was asked for', answer.header("warning"))


class LoopbackByDnsTest(scene.SceneTest):
    """What serves this machine alone listens on loopback: a domain that DNS puts there is not reached (RFC 3263)."""

    ADDRESSES = {"v4": "A 127.0.0.1", "net": "A 127.0.0.2", "zero": "A 0.0.0.0", "v6": "AAAA ::1", "any": "AAAA ::",
                 "mapped": "AAAA ::ffff:127.0.0.1"}

    @classmethod
    def prepare(cls):
        cls.partner_port = edge_process.free_port()
        records = ["sip.%s %s" % (label, address) for label, address in cls.ADDRESSES.items()]
        records += ["_sips._tcp.%s SRV 10 0 %d sip.%s" % (label, cls.partner_port, label) for label in cls.ADDRESSES]
        cls.dns = DnsServer(cls.folder, records)
        cls.addClassCleanup(cls.dns.stop)

    @classmethod
    def usual_config(cls):
        return edge_process.merge(super().usual_config(), {"dns": {"servers": [cls.dns.address]}})

    def test_a_domain_at_a_loopback_address_is_503(self):
        served = loop.Loop()
        certificate = self.authority.leaf(*["URI:sip:%s.example" % label for label in self.ADDRESSES])
        partner = user_agents.Outside(served, self.authority, certificate, "sip:partner.example",
                                      port=self.partner_port)
        self.addCleanup(partner.stop)
        caller = user_agents.Inside(served, "sip:bob@edge.example", ("127.0.0.1", self.edge.listener_port("core")))
        self.addCleanup(caller.stop)
        for label in self.ADDRESSES:
            for method in ("MESSAGE", "INVITE"):
                with self.subTest(label=label, method=method):
                    partner.received, partner.accepted = [], 0
                    answer = caller.ask_in_vain(caller.request(method, "sip:carol@%s.example" % label), [partner])
                    self.assert_refused(answer, 503)
                    served.serve()
                    self.assertEqual(partner.accepted, 0)


class LyingNextHopTcpTest(LyingNextHop, scene.SceneTest):
    transport = "tcp"


class SilentNextHopTest(scene.SceneTest):
    """64*T1 is 32 seconds whatever one does; everything that needs it waits together."""

    transport = "udp"

    def test_no_answer_in_time_is_408(self):
        tcp = next_hop.NextHop("tcp", rule=next_hop.silent)
        edge = self.another_edge({"listener": [self.outside(), self.inside(transport="tcp")],
                              "next-hop": [{"name": "core", "zone": "inside", "targets": [tcp.target]}]})
        pending = []
        for where in (self.edge, edge):
            for method in ("MESSAGE", "INVITE"):
                wanted = request(method)
                self.hop.rules[wanted.call_id] = next_hop.silent
                client = self.client(edge=where)
                client.send(wanted)
                pending.append((client, wanted))
        for client, wanted in pending:
            answer = client.receive_final(wanted.call_id, timeout=45.0)
            self.assert_refused(answer, 408)
        for where in (self.edge, edge):
            where.wait_metric("requests_rejected_total", 2, reason="timeout")
            where.wait_metric("sip_transaction_timeouts_total", 1, timer="B")
            where.wait_metric("sip_transaction_timeouts_total", 1, timer="F")
        # On UDP the request was repeated: Timer E gives 11 copies in 32 s, Timer A 7. On TCP never.
        self.assertEqual(len(self.hop.copies(pending[0][1].call_id)), 11)
        self.assertEqual(len(self.hop.copies(pending[1][1].call_id)), 7)
        for _, wanted in pending[2:]:
            self.assertEqual(len(tcp.seen(wanted.call_id, wanted.method)), 1)
        tcp.close()


if __name__ == "__main__":
    scene.main()
