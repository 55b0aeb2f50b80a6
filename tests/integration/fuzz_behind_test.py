"""No server behind the edge closes its connection for anything that the edge forwards.

Mutants (harness/mutants.py) pass from outside over TLS into a server that we did not write, over one TCP connection,
on which a call of another party rings. SALLYPORT_FUZZ_MESSAGES=10000 plays so many, SALLYPORT_FUZZ_SEED=n others.
"""
import os
import re

from harness import edge as edge_process
from harness import fuzz_scene, kamailio_scene, scene
from harness.baresip import BaresipServer
from harness.messages import request
from harness.mutants import Mutator
from harness.tap import Tap

ALICE, BOB, CAROL, DAVE = ("sip:%s@edge.example" % user for user in ("alice", "bob", "carol", "dave"))
ALL = os.environ.get("SALLYPORT_FUZZ_ALL")  # Plays also what is known to make a server leave; see `known`.


class FuzzBehind:
    """What is asked of each server. `taps` stand between it and the edge, `output()` is what it says of itself."""

    known = {}  # What the edge forwards and this server leaves for: arguments of Mutator.

    def mutator(self, seed):
        return Mutator(seed, **({} if ALL else self.known))

    def assert_nothing_ended(self):
        for tap in self.taps:
            if tap.error is not None:
                raise tap.error
            for link in tap.ended():
                self.fail("the %s of %d ended a connection: %r\n%s" % (
                    link.ended_by, tap.port, link.last, self.output()[-2000:]))
            self.assertEqual(len([link for link in tap.links if not link.is_probing()]), 1)

    def flood(self, probed, now_and_then=lambda: None):
        flood = fuzz_scene.Flood(lambda: self.client("URI:" + ALICE), self.mutator(fuzz_scene.SEED), ALICE, BOB, probed)
        while flood.sent < fuzz_scene.MESSAGES:
            try:
                flood.batch()
            finally:
                self.assert_nothing_ended()
            if flood.sent % 400 == 0:
                now_and_then()
        flood.close()
        print("seed %d: %d mutants over %d connections, %d of them forwarded; %s" % (
            fuzz_scene.SEED, flood.sent, flood.connections, len(self.forwarded.numbers), sorted(flood.answers.items())))
        self.assertGreater(len(self.forwarded.numbers), 0.3 * flood.sent)

    def assert_all_is_well(self):
        self.assert_nothing_ended()
        self.assertEqual(self.edge.metrics().value("connections_closed_total", direction="out"), 0)
        self.assertTrue(self.edge.is_alive())
        self.edge.check_log()


class KamailioTest(FuzzBehind, kamailio_scene.KamailioScene):
    """Kamailio as deploy/interop ships it. A telephone outside, registered there, answers what comes by mutants."""

    # It leaves for a Via in front of From, To, Call-ID or CSeq that is empty, cut off or of another protocol, or has a
    # comment, a comma or an escaped quote in quotes, a parameter without name, a semicolon at its end; for a To with an
    # empty parameter, an escaped quote in quotes, a backslash, two quoted names. It frames by Content_Length, too.
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.forwarded, cls.answered = fuzz_scene.Forwarded(), fuzz_scene.Forwarded()
        cls.forth = cls.started(Tap(cls.kamailio_port, dialler=cls.forwarded))
        cls.back = cls.started(Tap(cls.inside_port, server=cls.answered))
        cls.taps = (cls.forth, cls.back)

    @classmethod
    def usual_config(cls):
        config = edge_process.merge(super().usual_config(), {"edge": {"shards": 1}, "timeouts": {"drain": "0s"}})
        config["next-hop"][0]["targets"] = ["tcp:127.0.0.1:%d" % cls.forth.port]
        for listener in config["listener"]:
            if listener["name"] == "core-tcp":
                listener["advertise"] = "127.0.0.1:%d" % cls.back.port
        return config

    def output(self):
        return self.registrar.output

    def test_no_mutant_ends_a_connection(self):
        odd = fuzz_scene.OddPhone(self.edge.port, self.context("URI:" + BOB), BOB, self.mutator(fuzz_scene.SEED + 1))
        odd.wait_registered()
        callee = fuzz_scene.register(self.edge.port, self.context("URI:" + DAVE), DAVE)
        self.addCleanup(callee.close_quietly)
        call = fuzz_scene.RingingCall(self.client("URI:" + CAROL), callee, CAROL, DAVE)
        self.flood("sip:edge.example", call.ring)
        odd.stop()
        call.answer()
        print("%d odd answers over %d connections, %d of them forwarded" % (
            odd.answered, odd.connections, self.answered.odd_answers))
        self.assertGreater(self.answered.odd_answers, 0.1 * fuzz_scene.MESSAGES)
        self.assert_all_is_well()


class BaresipTest(FuzzBehind, scene.SceneTest):
    """baresip, whose libre has nothing in common with Kamailio. One party calls it, and another floods it."""

    next_hops = 0
    transport = "tcp"
    # It leaves for a Content-Type without a slash.
    known = {"excluded": ("short name", "bytes"), "spared": ("content-type", "c")}

    @classmethod
    def prepare(cls):
        cls.server = BaresipServer(cls.folder)
        cls.addClassCleanup(cls.server.stop)
        cls.forwarded = fuzz_scene.Forwarded()
        cls.taps = (Tap(cls.server.port, dialler=cls.forwarded),)
        cls.addClassCleanup(cls.taps[0].stop)

    @classmethod
    def usual_config(cls):
        config = edge_process.merge(super().usual_config(), {"edge": {"shards": 1}, "timeouts": {"drain": "0s"}})
        config["next-hop"][0]["targets"] = ["tcp:127.0.0.1:%d" % cls.taps[0].port]
        return config

    def output(self):
        return self.server.output

    def test_no_mutant_ends_a_connection(self):
        caller = self.client("URI:" + CAROL)
        invite = request("INVITE", uri=BOB, sender="<%s>;tag=c" % CAROL, body=fuzz_scene.SDP,
                         headers=["Content-Type: application/sdp"])
        caller.send(invite)
        while caller.receive().status != 180:
            pass
        self.flood(BOB)
        self.server.command("accept")
        accepted = caller.receive_final(invite.call_id)
        self.assertEqual(accepted.status, 200, accepted.raw)
        routes = ["Route: " + value for value in reversed(accepted.all("record-route"))]
        for method, cseq in (("ACK", 1), ("BYE", 2)):
            sent = request(method, uri=re.search("<(.*)>", accepted.header("contact")).group(1), cseq=cseq,
                           sender="<%s>;tag=c" % CAROL, to=accepted.header("to"), call_id=invite.call_id,
                           headers=routes)
            caller.send(sent)
        self.assertEqual(caller.receive_final(invite.call_id).status, 200)
        self.assert_all_is_well()


if __name__ == "__main__":
    scene.main()
