"""A request over mutual TLS reaches the next hop and its answer comes back, changed only where RFC 3261 says so."""
import os
import re
import shutil
import unittest

from harness import messages, scene
from harness.command_line_client import gnutls_cli, s_client
from harness.messages import request, via_parameter

OWN_BRANCH = re.compile(r"^z9hG4bK[0-9A-Za-z]{16,}$")


class MessagePath:
    """The path of one message; run below for a next hop on UDP and one on TCP."""

    def check_round_trip(self, client, wanted):
        answer = client.exchange(wanted)
        self.assertEqual((answer.status, answer.reason), (200, "OK"), answer.raw)
        self.assertEqual(len(answer.vias()), 1, "exactly one Via comes back")
        self.assertEqual(via_parameter(answer.vias()[0], "branch"), wanted.branch)
        self.check_forwarded(client, wanted)
        return answer

    def check_forwarded(self, client, wanted):
        (seen,) = self.hop.seen(wanted.call_id)
        self.assertEqual(seen.method, wanted.method)
        ours, theirs = seen.vias()
        self.assertRegex(ours, r"^SIP/2\.0/%s " % self.transport.upper())
        self.assertRegex(via_parameter(ours, "branch"), OWN_BRANCH)
        self.assertEqual(via_parameter(theirs, "branch"), wanted.branch)
        # RFC 3261 §18.2.1: the sent-by is a name, the source is an address.
        self.assertEqual(via_parameter(theirs, "received"), "127.0.0.1")
        self.assertEqual(seen.header("max-forwards"), "69")
        self.assertEqual(seen.header("p-asserted-identity"), "<sip:alice@a.example>")
        self.assertEqual(seen.header("from"), "<sip:alice@a.example>;tag=1")
        return seen

    def test_python_client_is_served_in_both_versions(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                client = self.client(version=version)
                self.assertEqual(client.version, "TLSv" + version)
                self.check_round_trip(client, request())

    def test_s_client_is_served_in_both_versions(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                wanted = request("OPTIONS")
                with s_client(self.edge.port, self.authority, self.authority.leaf(scene.DOMAIN), version) as client:
                    client.send(wanted)
                    self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK\r\n.*\r\n\r\n"), client.output)
                    head = client.output[client.output.find(b"SIP/2.0 200"):]
                    self.assertEqual(len(messages.Message(head).vias()), 1)
                self.check_forwarded(None, wanted)

    @unittest.skipUnless(shutil.which("gnutls-cli"), "gnutls-cli is not installed")
    def test_gnutls_is_served_in_both_versions(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                wanted = request("OPTIONS")
                with gnutls_cli(self.edge.port, self.authority, self.authority.leaf(scene.DOMAIN), version) as client:
                    self.assertIsNotNone(client.wait_for(rb"Handshake was completed"), client.output)
                    client.send(wanted)
                    self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK\r\n"), client.output)
                self.check_forwarded(None, wanted)

    def test_all_methods_pass(self):
        client = self.client()
        for method in ("OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "UPDATE", "PRACK", "REFER",
                       "BYE", "REGISTER", "X-NEW.METHOD"):
            with self.subTest(method=method):
                more = ["Refer-To: <sip:carol@edge.example>"] if method == "REFER" else []
                to = "<sip:alice@a.example>" if method == "REGISTER" else "<sip:bob@edge.example>"
                self.check_round_trip(client, request(method, headers=more, to=to))

    def test_body_arrives_byte_for_byte(self):
        client = self.client()
        body = bytes(range(256)) * 20 + b"\r\n\r\nOPTIONS sip:x SIP/2.0\r\n"
        wanted = request(body=body, headers=["Content-Type: application/octet-stream"])
        self.check_round_trip(client, wanted)
        self.assertEqual(self.hop.seen(wanted.call_id)[0].body, body)

    def test_response_body_comes_back_byte_for_byte(self):
        client = self.client()
        wanted = request()
        body = bytes(range(256)) * 8
        self.hop.rules[wanted.call_id] = lambda hop, m: hop.respond(m, 200, "OK", body=body)
        self.assertEqual(client.exchange(wanted).body, body)

    def test_everything_but_what_a_proxy_changes_is_left_alone(self):
        client = self.client()
        kept = ["X-Custom: a  b", "k: timer", "Subject: caf\u00e9", "Organization: x;y=\"z\"",
                "Accept: application/sdp, text/plain", "X-Empty:", "x-lower-CASE:1"]
        wanted = request(headers=kept)
        self.check_round_trip(client, wanted)
        raw = self.hop.seen(wanted.call_id)[0].raw
        position = 0
        for line in kept:
            position = raw.find(b"\r\n" + line.encode() + b"\r\n", position)
            self.assertGreater(position, 0, "%r is missing or out of order in %r" % (line, raw))

    def test_folded_and_compact_headers_are_understood(self):
        client = self.client()
        call_id = messages.unique("fold-")
        data = ("MESSAGE sip:bob@edge.example SIP/2.0\r\n"
                "v: SIP/2.0/TLS client.a.example;\r\n branch=z9hG4bK%s\r\n"
                "f:\r\n\t<sip:alice@a.example>\r\n ;tag=1\r\nT : <sip:bob@edge.example>\r\n"
                "i: %s\r\nCSEQ: 1\r\n MESSAGE\r\nmax-FORWARDS: 70\r\nl: 0\r\n\r\n" % (call_id, call_id)).encode()
        client.send(data)
        self.assertEqual(client.receive_final(call_id).status, 200)
        self.assertEqual(self.hop.seen(call_id)[0].header("max-forwards"), "69")

    def test_absent_max_forwards_is_added(self):
        client = self.client()
        wanted = request(omit=("max-forwards",))
        self.assertEqual(client.exchange(wanted).status, 200)
        # RFC 3261 §16.6 step 3.
        self.assertEqual(self.hop.seen(wanted.call_id)[0].header("max-forwards"), "70")

    def test_rport_is_filled_in(self):
        client = self.client()
        branch = "z9hG4bK" + messages.unique("r")
        wanted = request(via="SIP/2.0/TLS client.a.example;rport;branch=" + branch)
        answer = client.exchange(wanted)
        self.assertEqual(answer.status, 200)
        theirs = self.hop.seen(wanted.call_id)[0].vias()[1]
        # RFC 3581 §4: rport goes with received.
        self.assertEqual(via_parameter(theirs, "rport"), str(client.port))
        self.assertEqual(via_parameter(theirs, "received"), "127.0.0.1")

    def test_received_that_the_client_wrote_is_not_believed(self):
        client = self.client()
        wanted = request(via="SIP/2.0/TLS client.a.example;received=192.0.2.66;branch=z9hG4bK"
                             + messages.unique("r"))
        self.assertEqual(client.exchange(wanted).status, 200)
        theirs = self.hop.seen(wanted.call_id)[0].vias()[1]
        self.assertEqual(re.findall(r"received=([^;]+)", theirs), ["127.0.0.1"])

    def test_lower_vias_stay_as_they_are(self):
        client = self.client()
        lower = ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKlower1;received=192.0.2.99", "SIP/2.0/WSS x.invalid"]
        wanted = request(headers=["Via: " + via for via in lower])
        answer = client.exchange(wanted)
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.hop.seen(wanted.call_id)[0].vias()[2:], lower)
        self.assertEqual(answer.vias()[1:], lower)

    def test_vias_in_a_list_lose_only_ours(self):
        client = self.client()
        branch = "z9hG4bK" + messages.unique("l")
        wanted = request(via="SIP/2.0/TLS client.a.example;branch=%s, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx" % branch)
        answer = client.exchange(wanted)
        self.assertEqual(answer.status, 200)
        self.assertEqual([via_parameter(via, "branch") for via in answer.vias()], [branch, "z9hG4bKx"])

    def test_final_responses_of_all_classes_come_back(self):
        client = self.client()
        for status in (202, 302, 404, 486, 500, 603, 699):
            with self.subTest(status=status):
                wanted = request()
                self.hop.rules[wanted.call_id] = lambda hop, m: hop.respond(
                    m, status, "Because of that", headers=["Warning: 399 inside \"text\"", "X-Kept: 1"])
                answer = client.exchange(wanted)
                self.assertEqual((answer.status, answer.reason), (status, "Because of that"))
                self.assertEqual(answer.header("x-kept"), "1")

    def test_provisional_responses_of_other_methods_come_back(self):
        client = self.client()
        wanted = request("SUBSCRIBE")
        self.hop.rules[wanted.call_id] = lambda hop, m: (hop.respond(m, 183, "Soon"), hop.respond(m, 200, "OK"))
        client.send(wanted)
        self.assertEqual(client.receive().status, 183)
        self.assertEqual(client.receive().status, 200)

    def test_many_connections_at_once(self):
        clients = [self.client(version=version) for version in ("1.2", "1.3") * 6]
        wanted = [request() for _ in clients]
        for client, one in zip(clients, wanted):
            client.send(one)
        for client, one in zip(clients, wanted):
            self.assertEqual(client.receive_final(one.call_id).status, 200)

    def test_requests_are_counted(self):
        client = self.client()
        with self.counted("sip_requests_total", 3, direction="in", method="MESSAGE"), \
                self.counted("sip_requests_total", 1, direction="in", method="OTHER"):
            for _ in range(3):
                client.exchange(request())
            client.exchange(request("UNHEARD-OF"))

    def test_ping_is_answered_with_one_crlf(self):
        client = self.client()
        with self.counted("sip_keepalives_total", 3):
            client.send(b"\r\n\r\n")
            client.receive_keep_alive()
            client.send_pieces([b"\r", b"\n", b"\r", b"\n"])
            client.receive_keep_alive()
            wanted = request()
            client.send(b"\r\n\r\n" + wanted.bytes)
            client.receive_keep_alive()
            self.assertEqual(client.receive_final(wanted.call_id).status, 200)
        self.assertEqual(client.unread(), b"")

    def test_single_crlf_before_a_request_is_ignored(self):
        # RFC 3261 §7.5.
        client = self.client()
        wanted = request()
        client.send(b"\r\n" + wanted.bytes)
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)

    def test_connection_ends_with_a_close_notify_from_both_sides(self):
        client = self.client()
        self.assertEqual(client.exchange(request()).status, 200)
        with self.counted("connections_closed_total"):
            client.close()

    def test_half_a_message_at_the_end_of_a_connection_is_never_forwarded(self):
        for ending in ("close_without_notify", "reset", "close"):
            with self.subTest(ending=ending):
                wanted = request(body=b"0123456789")
                client = self.client()
                client.send(wanted.bytes[:-1])
                with self.counted("connections_closed_total"):
                    getattr(client, ending)()
                self.assert_never_forwarded(self.client(), wanted)

    def test_answer_of_a_connection_that_is_gone_is_dropped(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = lambda hop, m: None
        client.send(wanted)
        (seen,) = self.hop.wait(wanted.call_id)
        with self.counted("connections_closed_total"):
            client.reset()
        self.hop.respond(seen, 200, "OK")
        self.assertEqual(self.client().exchange(request()).status, 200)
        self.edge.wait_metric("sip_transactions_active", 0)


class MessagePathUdpTest(MessagePath, scene.SceneTest):
    transport = "udp"


class MessagePathTcpTest(MessagePath, scene.SceneTest):
    transport = "tcp"

    def test_requests_share_a_connection_to_the_next_hop(self):
        client = self.client()
        for _ in range(10):
            self.assertEqual(client.exchange(request()).status, 200)
        # One per shard at most; the edge runs one shard per CPU.
        self.assertLessEqual(len(self.hop.connections), len(os.sched_getaffinity(0)))


class Ipv6:
    """Everything on ::1; run below for a next hop on UDP and one on TCP."""

    host = "::1"

    def test_round_trip(self):
        client = self.client()
        wanted = request()
        self.assertEqual(client.exchange(wanted).status, 200)
        (seen,) = self.hop.seen(wanted.call_id)
        self.assertEqual(via_parameter(seen.vias()[1], "received").strip("[]"), "::1")
        self.assertEqual(seen.header("p-asserted-identity"), "<sip:alice@a.example>")


class Ipv6UdpTest(Ipv6, scene.SceneTest):
    transport = "udp"


class Ipv6TcpTest(Ipv6, scene.SceneTest):
    transport = "tcp"


class AdvertisedNameTest(scene.SceneTest):
    """What our Via says is what `advertise` says."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"][1]["advertise"] = "inner.edge.example:5070"
        return config

    def test_via_names_the_advertised_address(self):
        client = self.client()
        wanted = request()
        self.assertEqual(client.exchange(wanted).status, 200)
        self.assertRegex(self.hop.seen(wanted.call_id)[0].vias()[0], r"^SIP/2\.0/UDP inner\.edge\.example:5070;")


if __name__ == "__main__":
    scene.main()
