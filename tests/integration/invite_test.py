"""INVITE, ACK and CANCEL through the edge (RFC 3261 §9, §16.10, §17; RFC 6026)."""
from harness import next_hop, scene
from harness.messages import ack_for, cancel_for, request, via_parameter


class Invite:
    """Run below for a next hop on UDP and one on TCP."""

    def invite(self, client, rule=next_hop.silent, **parts):
        """Sends an INVITE; returns it and what the next hop saw of it."""
        wanted = request("INVITE", headers=["Content-Type: application/sdp"], body=b"v=0\r\n", **parts)
        self.hop.rules[wanted.call_id] = rule
        client.send(wanted)
        return wanted, self.hop.wait(wanted.call_id, "INVITE")[0]

    def expect(self, client, status, call_id):
        """The next response that is not our 100."""
        answer = client.receive()
        while answer.status == 100:
            answer = client.receive()
        self.assertEqual((answer.status, answer.call_id), (status, call_id), answer.raw)
        return answer

    def test_hundred_trying_comes_from_the_edge_and_only_once(self):
        client = self.client()
        wanted, seen = self.invite(client)
        trying = client.receive()
        self.assertEqual(trying.status, 100)
        self.assertEqual(trying.vias()[0].count(wanted.branch), 1)
        self.assertNotIn("tag=", trying.header("to"))  # RFC 3261 §8.2.6.2.
        self.hop.respond(seen, 100, "Trying")          # §16.7 step 5: never forwarded.
        self.hop.respond(seen, 180, "Ringing")
        self.assertEqual(client.receive().status, 180)
        self.hop.respond(seen, 183, "Session Progress")
        self.assertEqual(client.receive().status, 183)
        self.hop.respond(seen, 200, "OK")
        answer = client.receive()
        self.assertEqual((answer.status, len(answer.vias())), (200, 1))

    def test_acknowledgement_of_2xx_is_a_request_of_its_own(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 200, "OK")
        answer = self.expect(client, 200, wanted.call_id)
        client.send(request("ACK", call_id=wanted.call_id, to=answer.header("to")))
        (ack,) = self.hop.wait(wanted.call_id, "ACK")
        self.assertNotEqual(via_parameter(ack.vias()[0], "branch"), via_parameter(seen.vias()[0], "branch"))
        self.assertEqual(len(ack.vias()), 2)
        self.assertEqual(ack.header("max-forwards"), "69")
        self.assertEqual(ack.header("from"), "<sip:alice@a.example>;tag=1")
        # Interface: the identity is asserted on every request except ACK and CANCEL.
        self.assertEqual(ack.all("p-asserted-identity"), [])

    def test_retransmitted_2xx_passes(self):
        # RFC 6026 §7.1: after the first 2xx both transactions are Accepted.
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 200, "OK")
        self.expect(client, 200, wanted.call_id)
        self.hop.respond(seen, 200, "OK")
        self.expect(client, 200, wanted.call_id)

    def test_failure_is_acknowledged_hop_by_hop(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 486, "Busy Here")
        answer = self.expect(client, 486, wanted.call_id)
        (ack,) = self.hop.wait(wanted.call_id, "ACK")
        # RFC 3261 §17.1.1.3: same Request-URI and top Via, only that Via; To of the response.
        self.assertEqual(ack.vias(), seen.vias()[:1])
        self.assertEqual(ack.request_uri, seen.request_uri)
        self.assertEqual(ack.header("to"), answer.header("to"))
        self.assertEqual(ack.header("cseq"), "1 ACK")
        client.send(ack_for(wanted, answer))
        self.assertEqual(client.exchange(request()).status, 200)
        self.assertEqual(len(self.hop.seen(wanted.call_id, "ACK")), 1, "the client's ACK ends at the edge")

    def test_retransmitted_invite_is_absorbed(self):
        client = self.client()
        wanted, seen = self.invite(client)
        client.send(wanted)
        self.assertEqual(self.client().exchange(request()).status, 200)
        probe = request()
        client.send(probe)
        answer = client.receive()
        while answer.status == 100:
            answer = client.receive()
        self.assertEqual(answer.call_id, probe.call_id)
        self.assertEqual(len({m.raw for m in self.hop.seen(wanted.call_id, "INVITE")}), 1)
        self.hop.respond(seen, 486)

    def test_two_forks_of_2xx_both_pass(self):
        client = self.client()
        wanted, seen = self.invite(client)
        for tag in ("fork1", "fork2"):
            self.hop.respond(seen, 200, "OK", tag=tag)
            self.assertIn("tag=" + tag, self.expect(client, 200, wanted.call_id).header("to"))

    def test_cancel_before_any_response_waits_for_one(self):
        client = self.client()
        wanted, seen = self.invite(client)
        client.send(cancel_for(wanted))
        answer = client.receive()
        while answer.status == 100:
            answer = client.receive()
        self.assertEqual((answer.status, answer.header("cseq")), (200, "1 CANCEL"))
        # RFC 3261 §9.1: no CANCEL before a provisional response.
        self.assertEqual(self.client().exchange(request()).status, 200)
        self.assertEqual(self.hop.seen(wanted.call_id, "CANCEL"), [])
        self.hop.respond(seen, 180, "Ringing")
        (cancel,) = self.hop.wait(wanted.call_id, "CANCEL")
        self.finish_cancelled(client, wanted, seen, cancel)

    def test_cancel_after_ringing(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 180, "Ringing")
        self.expect(client, 180, wanted.call_id)
        client.send(cancel_for(wanted))
        answer = client.receive()
        self.assertEqual((answer.status, answer.header("cseq")), (200, "1 CANCEL"))
        (cancel,) = self.hop.wait(wanted.call_id, "CANCEL")
        self.finish_cancelled(client, wanted, seen, cancel)

    def finish_cancelled(self, client, wanted, seen, cancel):
        # RFC 3261 §9.1: built from our INVITE: one Via, with its branch, and its Request-URI, To, From, CSeq number.
        self.assertEqual(cancel.vias(), seen.vias()[:1])
        self.assertEqual(cancel.request_uri, seen.request_uri)
        for name in ("from", "to", "call-id"):
            self.assertEqual(cancel.header(name), seen.header(name))
        self.assertEqual(cancel.header("cseq"), "1 CANCEL")
        self.assertEqual(cancel.all("p-asserted-identity"), [])
        self.hop.respond(cancel, 200, "OK")
        self.hop.respond(seen, 487, "Request Terminated")
        answer = client.receive()
        while answer.status < 200:
            answer = client.receive()
        self.assertEqual((answer.status, answer.header("cseq")), (487, "1 INVITE"))
        self.hop.wait(wanted.call_id, "ACK")
        client.send(ack_for(wanted, answer))
        self.assertEqual(client.exchange(request()).status, 200)
        self.assertEqual(len(self.hop.seen(wanted.call_id, "ACK")), 1)

    def test_cancel_after_the_final_response_changes_nothing(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 200, "OK")
        self.expect(client, 200, wanted.call_id)
        client.send(cancel_for(wanted))
        answer = client.receive()
        # RFC 6026: the transaction lives on in Accepted, so 200; RFC 3261 §9.2 without it: 481. No effect either way.
        self.assertIn(answer.status, (200, 481))
        self.assertEqual(answer.header("cseq"), "1 CANCEL")
        self.assertEqual(client.exchange(request()).status, 200)
        self.assertEqual(self.hop.seen(wanted.call_id, "CANCEL"), [])

    def test_cancel_of_nothing_is_481(self):
        client = self.client()
        cancel = request("CANCEL")
        self.assertEqual(client.exchange(cancel).status, 481)
        self.assert_never_forwarded(client, cancel)

    def test_cancel_from_another_connection_of_the_same_peer(self):
        # It takes effect where both connections are served by one shard, and is 481 without any effect elsewhere.
        for _ in range(4):
            client = self.client()
            wanted, seen = self.invite(client)
            self.hop.respond(seen, 180, "Ringing")
            self.expect(client, 180, wanted.call_id)
            answer = self.client().exchange(cancel_for(wanted))
            self.assertIn(answer.status, (200, 481))
            if answer.status == 200:
                (cancel,) = self.hop.wait(wanted.call_id, "CANCEL")
                self.hop.respond(cancel, 200, "OK")
            self.hop.respond(seen, 487, "Request Terminated")
            self.expect(client, 487, wanted.call_id)
            self.assertEqual(len(self.hop.seen(wanted.call_id, "CANCEL")), 1 if answer.status == 200 else 0)

    def test_cancel_from_another_identity_is_481_and_goes_nowhere(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 180, "Ringing")
        self.expect(client, 180, wanted.call_id)
        # This peer may write alice@a.example in From, but it is not the peer that began the transaction.
        other = self.client(scene.DOMAIN, "URI:sip:other.example")
        self.assertEqual(other.exchange(cancel_for(wanted)).status, 481)
        self.assert_never_forwarded(other)
        self.assertEqual(self.hop.seen(wanted.call_id, "CANCEL"), [])
        self.hop.respond(seen, 200, "OK")
        self.expect(client, 200, wanted.call_id)

    def test_cancel_with_a_from_that_is_not_covered_is_403(self):
        client = self.client()
        wanted, seen = self.invite(client)
        other = self.client("URI:sip:b.example")
        other.own_uri = "sip:bob@b.example"
        with self.rejected("from-not-covered"):
            self.assert_refused(other.exchange(cancel_for(wanted)), 403, "From Not Covered By Certificate")
        self.assert_never_forwarded(other)
        self.assertEqual(self.hop.seen(wanted.call_id, "CANCEL"), [])
        self.hop.respond(seen, 486)
        self.expect(client, 486, wanted.call_id)

    def test_refused_acknowledgement_is_dropped_without_an_answer(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 200, "OK")
        self.expect(client, 200, wanted.call_id)
        with self.rejected("from-not-covered"):
            client.send(request("ACK", call_id=wanted.call_id, sender="<sip:bob@b.example>;tag=1"))
        for parts in ({"sender": "<sip:bob@b.example>;tag=1"}, {"uri": "sip:bob@elsewhere.example"},
                      {"max_forwards": "0"}, {"omit": ("to",)}):
            with self.subTest(parts=parts), self.counted("sip_acks_dropped_total"):
                client.send(request("ACK", call_id=wanted.call_id, **parts))
                probe = request()
                client.send(probe)
                self.assertEqual(client.receive().call_id, probe.call_id)
        self.assertEqual(self.hop.seen(wanted.call_id, "ACK"), [])

    def test_caller_that_leaves_while_ringing(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 180, "Ringing")
        self.expect(client, 180, wanted.call_id)
        with self.counted("connections_closed_total"):
            client.reset()
        # Nobody is there to answer: the edge must neither crash nor keep the transaction once it has ended.
        for _ in range(2):
            self.hop.respond(seen, 487, "Request Terminated")
        self.hop.wait(wanted.call_id, "ACK")
        self.assertEqual(self.client().exchange(request()).status, 200)

    def test_in_dialog_requests_are_judged_like_all(self):
        client = self.client()
        wanted, seen = self.invite(client)
        self.hop.respond(seen, 200, "OK")
        to = self.expect(client, 200, wanted.call_id).header("to")
        del self.hop.rules[wanted.call_id]
        foreign = request("BYE", call_id=wanted.call_id, to=to, cseq=2, sender="<sip:mallory@b.example>;tag=1")
        with self.rejected("from-not-covered"):
            self.assert_refused(client.exchange(foreign), 403)
        bye = request("BYE", call_id=wanted.call_id, to=to, cseq=2)
        self.assertEqual(client.exchange(bye).status, 200)
        self.assertEqual([m.header("from") for m in self.hop.seen(wanted.call_id, "BYE")],
                         ["<sip:alice@a.example>;tag=1"])


class InviteUdpTest(Invite, scene.SceneTest):
    transport = "udp"

    def test_retransmitted_failure_is_acknowledged_again_and_not_forwarded(self):
        client = self.client()
        wanted, seen = self.invite(client)
        for count in (1, 2, 3):
            self.hop.respond(seen, 404, "Not Found")
            acks = self.hop.wait_copies(wanted.call_id, "ACK", count)
        self.assertEqual(len({ack.raw for ack in acks}), 1)
        self.expect(client, 404, wanted.call_id)
        probe = request()
        client.send(probe)
        self.assertEqual(client.receive().call_id, probe.call_id, "one 404 only")

    def test_unanswered_invite_is_retransmitted_until_it_is_answered(self):
        client = self.client()
        wanted, _ = self.invite(client)
        # Timer A: after 0.5 s, then 1 s (RFC 3261 §17.1.1.2).
        copies = self.hop.wait_copies(wanted.call_id, "INVITE", 3, timeout=8.0)
        self.assertEqual(len({copy.raw for copy in copies}), 1, "a retransmission is the same bytes")
        self.hop.respond(copies[0], 180, "Ringing")
        self.expect(client, 180, wanted.call_id)
        self.hop.respond(copies[0], 200, "OK")
        self.expect(client, 200, wanted.call_id)

    def test_unanswered_request_is_retransmitted(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        # Timer E (RFC 3261 §17.1.2.2).
        copies = self.hop.wait_copies(wanted.call_id, count=3, timeout=8.0)
        self.assertEqual(len({copy.raw for copy in copies}), 1)
        self.hop.respond(copies[-1], 200, "OK")
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)
        self.assertGreaterEqual(self.edge.metrics().value("sip_retransmissions_total", direction="out"), 2)


class InviteTcpTest(Invite, scene.SceneTest):
    transport = "tcp"


if __name__ == "__main__":
    scene.main()
