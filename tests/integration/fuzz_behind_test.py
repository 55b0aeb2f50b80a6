"""No server behind the edge closes its connection for anything that the edge forwards.

Mutants (harness/mutants.py) pass from outside over TLS into a server that we did not write, over one TCP connection,
and a telephone outside answers what comes by mutants. SALLYPORT_FUZZ_MESSAGES=10000 plays so many,
SALLYPORT_FUZZ_SEED=n others.
"""
import os

from harness import edge as edge_process
from harness import fuzz_scene, kamailio_scene, scene
from harness.mutants import Mutator
from harness.tap import Tap

# Kamailio ends its connection for these, and the edge forwards them. SALLYPORT_FUZZ_ALL=1 plays them, too.
KNOWN = {} if os.environ.get("SALLYPORT_FUZZ_ALL") else {
    "excluded": ("via", "to", "bytes", "underscore"), "spared": ("via", "v", "to", "t")}

ALICE, BOB, CAROL, DAVE = ("sip:%s@edge.example" % user for user in ("alice", "bob", "carol", "dave"))


class KamailioTest(kamailio_scene.KamailioScene):
    """Kamailio as deploy/interop ships it. Between it and the edge is a tap in each direction."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.forwarded, cls.answered = fuzz_scene.Forwarded(), fuzz_scene.Forwarded()
        cls.forth = cls.started(Tap(cls.kamailio_port, dialler=cls.forwarded))
        cls.back = cls.started(Tap(cls.inside_port, server=cls.answered))

    @classmethod
    def usual_config(cls):
        config = edge_process.merge(super().usual_config(), {"edge": {"shards": 1}, "timeouts": {"drain": "0s"}})
        config["next-hop"][0]["targets"] = ["tcp:127.0.0.1:%d" % cls.forth.port]
        for listener in config["listener"]:
            if listener["name"] == "core-tcp":
                listener["advertise"] = "127.0.0.1:%d" % cls.back.port
        return config

    def user(self, uri, registered=False):
        if not registered:
            return self.client("URI:" + uri)
        client = fuzz_scene.register(self.edge.port, self.context("URI:" + uri), uri)
        self.addCleanup(client.close_quietly)
        return client

    def assert_nothing_ended(self):
        for error in (self.forth.error, self.back.error):
            if error is not None:
                raise error
        for tap in (self.forth, self.back):
            for link in tap.ended():
                self.fail("the %s of %d ended a connection: %r\n%s" % (
                    link.ended_by, tap.port, link.last, self.registrar.output[-2000:]))
            self.assertEqual(len(tap.links), 1)

    def test_no_mutant_ends_a_connection(self):
        print("seed %d, %d messages" % (fuzz_scene.SEED, fuzz_scene.MESSAGES))
        odd = fuzz_scene.OddPhone(self.edge.port, self.context("URI:" + BOB), BOB,
                                  Mutator(fuzz_scene.SEED + 1, **KNOWN))
        odd.wait_registered()
        call = fuzz_scene.RingingCall(self.user(CAROL), self.user(DAVE, registered=True), CAROL, DAVE)
        flood = fuzz_scene.Flood(lambda: self.user(ALICE), Mutator(fuzz_scene.SEED, **KNOWN), ALICE, BOB)
        while flood.sent < fuzz_scene.MESSAGES:
            try:
                flood.batch()
            finally:
                self.assert_nothing_ended()
            if flood.sent % 400 == 0:
                call.ring()
        flood.close()
        odd.stop()
        call.answer()
        self.assert_nothing_ended()
        print("%d mutants over %d connections, %d of them forwarded; %d odd answers over %d connections, %d of them "
              "forwarded; %s" % (flood.sent, flood.connections, len(self.forwarded.numbers), odd.answered,
                                 odd.connections, self.answered.odd_answers, sorted(flood.answers.items())))
        self.assertGreater(len(self.forwarded.numbers), 0.3 * flood.sent)
        self.assertGreater(self.answered.odd_answers, 0.1 * flood.sent)
        self.assertEqual(self.edge.metrics().value("connections_closed_total", direction="out"), 0)
        self.assertTrue(self.edge.is_alive())
        self.edge.check_log()


if __name__ == "__main__":
    scene.main()
