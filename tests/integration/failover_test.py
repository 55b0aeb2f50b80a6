"""Next hops that die under load, and bad ones in front: whatever the second can serve does not fail."""
import time

from harness import bad_hops, edge as edge_process
from harness import next_hop, scene, traffic
from harness.messages import request

PHONES = 6
SECONDS = 4.0  # Of load, around each event.


class Failover:
    """Two next hops in one group, the first preferred; run below for TCP and UDP."""

    transport = "tcp"
    next_hops = 0

    @classmethod
    def prepare(cls):
        cls.hops = [traffic.TrafficHop(cls.transport) for _ in range(2)]

    @classmethod
    def usual_config(cls):
        made = super().usual_config()
        made["edge"]["shards"] = 4
        made["next-hop"][0]["targets"] = ["%s;priority=%d" % (hop.target, n) for n, hop in enumerate(cls.hops)]
        made["timeouts"].update({"target": "1s", "connect": "1s"})
        return made

    def phones(self, **more):
        made = [traffic.Phone(n, self.edge.port, self.context(), None, pause=0.0, **more).start()
                for n in range(PHONES)]
        self.addCleanup(lambda: [one.ask_to_stop() for one in made])
        return made

    def stop(self, phones):
        for phone in phones:
            phone.ask_to_stop()
        for phone in phones:
            phone.join()
        answers = traffic.total(phones)
        self.assertEqual({status for _, status in answers}, {200}, answers)
        return sum(answers.values())

    def wait_served(self, hop, more=50, timeout=30.0):
        wanted = hop.served + more
        deadline = time.monotonic() + timeout
        while hop.served < wanted:
            self.assertLess(time.monotonic(), deadline, "%s is not used" % hop.target)
            time.sleep(0.02)

    def test_first_dies_under_load_and_comes_back(self):
        phones = self.phones()
        self.wait_served(self.hops[0])
        for _ in range(2):
            self.hops[0].close()
            self.wait_served(self.hops[1], 200)
            self.hops[0] = traffic.TrafficHop(self.transport, port=self.hops[0].port)
            self.wait_served(self.hops[0], 200)
        self.stop(phones)
        self.edge.wait_metric("sip_transactions_active", 0, timeout=60.0)

    def test_connections_of_the_first_break_under_load(self):
        if self.transport != "tcp":
            self.skipTest("UDP has no connections")
        phones = self.phones()
        self.wait_served(self.hops[0])
        for _ in range(20):
            self.hops[0].drop_connections()
            time.sleep(SECONDS / 20)
        self.stop(phones)

    def test_both_die_and_come_back(self):
        phones = self.phones(methods=("MESSAGE",))
        self.wait_served(self.hops[0])
        for n in range(2):
            self.hops[n].close()
        time.sleep(0.5)
        self.hops[1] = traffic.TrafficHop(self.transport, port=self.hops[1].port)
        self.wait_served(self.hops[1])
        self.hops[0] = traffic.TrafficHop(self.transport, port=self.hops[0].port)
        self.wait_served(self.hops[0])
        for phone in phones:
            phone.ask_to_stop()
        for phone in phones:
            phone.join()
        # While nobody was there they were refused, with a reason; nothing stayed without an answer.
        self.assertLessEqual({status for _, status in traffic.total(phones)}, {200, 408, 500, 503})


class FailoverTcpTest(Failover, scene.SceneTest):
    transport = "tcp"


class FailoverUdpTest(Failover, scene.SceneTest):
    transport = "udp"


class BadNextHopTest(scene.SceneTest):
    """A bad one in front of a good one: the good one answers everything, and others do not notice."""

    transport = "tcp"

    def start(self, bad):
        self.good, self.other = traffic.TrafficHop(), traffic.TrafficHop()
        self.hops += [bad, self.good, self.other]
        inside = [self.inside("core-tcp", "tcp"), self.inside("core-udp", "udp")]
        return self.another_edge({
            "edge": {"shards": 2},
            "listener": [self.outside()] + inside,
            "next-hop": [{"name": "core", "zone": "inside",
                          "targets": [bad.target + ";priority=0", self.good.target + ";priority=1"]},
                         {"name": "other", "zone": "inside", "targets": [self.other.target]}],
            "route": [{"zone": "outside", "user": "other*", "next-hop": "other"},
                      {"zone": "outside", "next-hop": "core"}],
            "timeouts": {"drain": "5s", "target": "500ms", "connect": "1s"}})

    def test_bad_first_targets(self):
        for name, make in bad_hops.KINDS.items():
            with self.subTest(kind=name):
                self.serve_past(make())

    def serve_past(self, bad):
        edge = self.start(bad)
        phones = [traffic.Phone(n, edge.port, self.context(), None, user=user).start()
                  for n, user in enumerate(("bob", "bob", "bob", "other"))]
        time.sleep(SECONDS)
        for phone in phones:
            phone.ask_to_stop()
        for phone in phones:
            phone.join()
        answers = traffic.total(phones)
        self.assertEqual({status for _, status in answers}, {200}, answers)
        self.assertGreater(self.good.served, 0)
        self.assertGreater(self.other.served, 0)


class HealthTest(scene.SceneTest):
    """health = {...}: a next hop that accepts and says nothing is down, and up again once it answers."""

    transport = "tcp"

    @classmethod
    def usual_config(cls):
        made = super().usual_config()
        made["next-hop"][0]["health"] = {"interval": "1s", "timeout": "300ms"}
        made["timeouts"].update({"target": "1s"})
        return made

    def test_half_open_next_hop_goes_down_and_comes_up(self):
        client = self.client()
        self.edge.wait_metric("upstream_healthy", 1, peer="core")
        for _ in range(2):
            self.hop.rule = next_hop.silent
            self.edge.wait_metric("upstream_healthy", 0, peer="core", timeout=30.0)
            self.hop.rule = next_hop.accept
            self.edge.wait_metric("upstream_healthy", 1, peer="core", timeout=30.0)
            self.assertEqual(client.exchange(request()).status, 200)

    def test_refusing_next_hop_goes_down_and_comes_up(self):
        port = edge_process.free_port()
        edge = self.another_edge({"next-hop": [{"name": "core", "zone": "inside", "targets": [
            "tcp:127.0.0.1:%d" % port], "health": {"interval": "1s", "timeout": "300ms"}}]})
        edge.wait_metric("upstream_healthy", 0, peer="core", timeout=30.0)
        hop = next_hop.NextHop("tcp", port=port)
        self.addCleanup(hop.close)
        edge.wait_metric("upstream_healthy", 1, peer="core", timeout=30.0)
        self.assertEqual(self.client(edge=edge).exchange(request()).status, 200)


if __name__ == "__main__":
    scene.main()
