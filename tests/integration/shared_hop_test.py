"""Fifty calls of ten peers ring over one connection to a next hop. What others send, or what another callee answers,
costs none of them: each is answered at the end, over the same connection."""
import collections
import itertools
import threading
import time

from harness import odd_messages, scene
from harness.messages import request

PEERS, CALLS = 10, 5  # Calls of each.
ODD_RESPONSES = 1000
BURST, BURST_BODY = 500, 64000
READ_SECONDS = 0.005  # What the slow next hop takes for a message.


class SharedHop:
    """Run below for one shard and for two."""

    transport = "tcp"

    def setUp(self):
        self.pause = 0.0
        self.ringing, self.changed = {}, threading.Condition()
        self.hop.rule = self.take
        self.callers = [self.client("URI:sip:p%d.example" % n) for n in range(PEERS)]
        self.calls = {}
        for caller, client in enumerate(self.callers):
            for _ in range(CALLS):
                invite = request("INVITE", sender="<sip:u@p%d.example>;tag=1" % caller)
                self.calls[invite.call_id] = caller
                client.send(invite)
        for call_id in self.calls:
            self.wait_ringing(call_id)
        self.connections = list(self.hop.connections)
        self.assertIn(len(self.connections), range(1, self.config["edge"]["shards"] + 1))
        self.evil = self.client("URI:sip:evil.example")

    def take(self, hop, message):
        """An INVITE rings until the test answers it."""
        time.sleep(self.pause)
        if message.method == "INVITE":
            hop.respond(message, 180, "Ringing")
            with self.changed:
                self.ringing[message.call_id] = message
                self.changed.notify_all()
        elif message.method != "ACK":
            hop.respond(message, 200, "OK")

    def wait_ringing(self, call_id):
        with self.changed:
            self.assertTrue(self.changed.wait_for(lambda: call_id in self.ringing, 20.0), "a call does not ring")
            return self.ringing[call_id]

    def evils(self, method="MESSAGE", **parts):
        return request(method, sender="<sip:e@evil.example>;tag=1", **parts)

    def assert_evil_is_served(self):
        probe = self.evils("OPTIONS")
        self.evil.send(probe)
        while self.evil.receive_final().call_id != probe.call_id:
            pass

    def assert_all_are_answered(self):
        """The end of each test: 200 reaches each caller, and the next hop has seen no other connection."""
        for call_id in self.calls:
            self.hop.respond(self.ringing[call_id], 200, "OK")
        for caller, client in enumerate(self.callers):
            answers = {}
            while len(answers) < CALLS:
                answer = client.receive_final()
                answers[answer.call_id] = answer.status
            self.assertEqual(answers, {call_id: 200 for call_id, of in self.calls.items() if of == caller})
        self.assertEqual(self.hop.connections, self.connections)
        self.assertEqual(self.edge.metrics().value("connections_closed_total", direction="out"), 0)

    def test_odd_requests_of_another_peer(self):
        requests = list(odd_messages.odd_requests(lambda **parts: self.evils("INVITE", **parts)))
        for kind, wanted, status, _ in requests:
            with self.subTest(kind=kind):
                self.evil.send(wanted)
                if status is None:
                    self.wait_ringing(wanted.call_id)
                else:
                    self.assertEqual(self.evil.receive_final(wanted.call_id).status, status)
        too_large = self.evils(body=odd_messages.TOO_LARGE)
        self.assertEqual(self.evil.exchange(too_large).status, 513)
        self.assert_evil_is_served()
        self.assert_all_are_answered()

    def test_calls_that_are_cancelled_with_a_reason(self):
        for _ in range(20):
            invite = self.evils("INVITE")
            self.evil.send(invite)
            self.wait_ringing(invite.call_id)
            self.evil.send(self.evils("CANCEL", call_id=invite.call_id, branch=invite.branch, headers=[
                odd_messages.PASSING["a reason of a CANCEL"]]))
            (cancel,) = self.hop.wait(invite.call_id, "CANCEL")
            self.assertEqual(cancel.header("reason"), "SIP;cause=200;text=\"Call completed elsewhere\"")
        self.assert_all_are_answered()

    def test_odd_responses_of_another_callee(self):
        invite = self.evils("INVITE")
        self.evil.send(invite)
        message = self.wait_ringing(invite.call_id)
        kinds = []
        for status in ((183, "Progress"), (200, "OK"), (486, "Busy")):
            kinds += [(data, line is None) for _, data, line in odd_messages.odd_responses(message, *status)]
            kinds.append((odd_messages.large_response(message, *status), True))
        sent = list(itertools.islice(itertools.cycle(kinds), ODD_RESPONSES))
        dropped = sum(is_refused for _, is_refused in sent)
        self.assertGreater(dropped, 0.3 * ODD_RESPONSES)
        with self.counted("sip_responses_dropped_total", lambda change: change >= dropped):
            for data, _ in sent:
                self.hop.send(data, message.origin)
        self.assert_evil_is_served()
        self.assert_all_are_answered()

    def test_burst_of_another_peer_at_a_next_hop_that_reads_slowly(self):
        self.pause = READ_SECONDS
        for _ in range(BURST):
            self.evil.send(self.evils(body=b"q" * BURST_BODY))
        answers = collections.Counter(self.evil.receive_final().status for _ in range(BURST))
        print("a burst of %d x %d bytes was answered %s" % (BURST, BURST_BODY, dict(answers)))
        self.pause = 0.0
        self.assertEqual(set(answers) - {200, 503}, set(), answers)
        self.assertGreater(answers[200], 0)
        self.assert_evil_is_served()
        self.assert_all_are_answered()


class OneShardTest(SharedHop, scene.SceneTest):
    config = {"edge": {"shards": 1}}


class TwoShardsTest(SharedHop, scene.SceneTest):
    config = {"edge": {"shards": 2}}


if __name__ == "__main__":
    scene.main()
