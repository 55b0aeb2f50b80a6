"""The soak of harness/soak.py: some seconds as a test; bench/soak runs it for as long as one likes."""
import os

from harness import scene, soak, traffic


class SoakTest(scene.SceneTest):
    transport = "udp"  # Of the first inside listener.
    next_hops = 0
    seconds = float(os.environ.get("SALLYPORT_SOAK_SECONDS", "20"))

    @classmethod
    def prepare(cls):
        cls.hops = [traffic.TrafficHop(rule=traffic.registrar) for _ in range(2)]

    @classmethod
    def usual_config(cls):
        return soak.configure(cls, super().usual_config())

    def test_every_request_is_answered_and_nothing_is_left(self):
        answers = soak.Soak(self.edge, self.context(), self.hops).run(self.seconds, soak.write)
        soak.write("answers: %s" % ", ".join("%s %d: %d" % (*key, n) for key, n in sorted(answers.items())))


if __name__ == "__main__":
    scene.main()
