"""One peer opens thousands of handshakes and messages and ends none of them. Every handshake and every message of others
succeeds meanwhile, from another address and from the same one. What they wait is measured by bench/flood."""
import threading

from harness import scene, tls_client
from harness.flood import PartialMessages, UnfinishedHandshakes, raise_descriptor_limit
from harness.messages import request

HANDSHAKES = 5000
PARTIAL_MESSAGES = 2000
PARTIAL_BODY = 60000  # Together more than limits.partial-bytes.
MORE = 5              # Every 10 ms, whatever the edge has ended.
SERVED = 60           # Of each kind, while the flood is there.
SOURCES = ("127.0.0.1", "127.0.0.2")


class FloodTest(scene.SceneTest):
    transport = "tcp"
    # Longer than the test: no deadline thins out the flood.
    config = {"edge": {"shards": 2}, "timeouts": {"first-byte": "120s", "handshake": "120s", "message": "120s"}}

    @classmethod
    def prepare(cls):
        raise_descriptor_limit()

    def others(self):
        """Connections that are there before the flood, one from each address."""
        made = [self.client("URI:sip:b.example", source=source) for source in SOURCES]
        for client in made:
            self.assertEqual(client.exchange(self.message()).status, 200)
        return made

    def message(self, **parts):
        return request(sender="<sip:bob@b.example>;tag=1", **parts)

    def assert_all_are_served(self, established, context):
        for n in range(SERVED):
            for source, client in zip(SOURCES, established):
                with tls_client.TlsClient(self.edge.port, context, source=source) as fresh:
                    self.assertEqual(fresh.exchange(self.message()).status, 200)
                    # Larger than what one turn reads: it is partial itself for a while.
                    self.assertEqual(fresh.exchange(self.message(body=b"x" * 60000)).status, 200)
                self.assertEqual(client.exchange(self.message(body=b"y" * (60000 if n % 8 == 0 else 0))).status, 200)

    def play_handshakes(self, are_large):
        """The flood when others have been served under it."""
        context = self.context("URI:sip:b.example")
        established = self.others()
        flood = UnfinishedHandshakes(self.edge.port, context, are_large=are_large)
        self.addCleanup(flood.close)
        with self.counted("connections_accepted_total", lambda change: change >= HANDSHAKES):
            flood.open(HANDSHAKES)
        self.edge.wait_metric("tls_handshakes_in_progress", lambda value: value > HANDSHAKES // 2)
        stop, ended = threading.Event(), []

        def goes_on():
            while not stop.wait(0.01):
                ended.append(flood.ended())
                flood.open(MORE)

        thread = threading.Thread(target=goes_on)
        thread.start()
        try:
            self.assert_all_are_served(established, context)
        finally:
            stop.set()
            thread.join()
        self.assertGreater(self.edge.metrics().value("tls_handshakes_in_progress"), HANDSHAKES // 2)
        print("%d connections of the flood, the edge has ended %d" % (flood.opened, sum(ended)))
        return sum(ended)

    def test_unfinished_handshakes_of_one_address(self):
        self.assertEqual(self.play_handshakes(are_large=False), 0)

    def test_unfinished_handshakes_of_more_than_they_may_hold(self):
        self.assertGreater(self.play_handshakes(are_large=True), 0)

    def test_partial_messages_of_one_identity(self):
        context = self.context("URI:sip:b.example")
        established = self.others()
        flood = PartialMessages(self.edge.port, self.context("URI:sip:evil.example"), "sip:e@evil.example", PARTIAL_BODY)
        self.addCleanup(flood.close)
        flood.open(PARTIAL_MESSAGES)
        held = self.edge.metrics().value("memory_bytes", area="buffers")
        self.assert_all_are_served(established, context)
        print("the flood holds %d bytes" % held)
        self.assertGreater(held, 32 << 20)
        self.assertGreater(self.edge.metrics().value("memory_bytes", area="buffers"), 32 << 20)


if __name__ == "__main__":
    scene.main()
