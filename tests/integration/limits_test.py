"""Everything that can grow or wait has a bound, and reaching it hurts nobody else."""
import socket
import threading
import time

from harness import next_hop, scene, tls_client
from harness.messages import request


class DeadlineTest(scene.SceneTest):
    config = {"timeouts": {"first-byte": "1s", "handshake": "2s", "message": "1s", "idle": "3s"}}

    def closed_after(self, connection, at_least, at_most):
        started = time.monotonic()
        connection.settimeout(20.0)
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass
        self.assertTrue(at_least <= time.monotonic() - started <= at_most, time.monotonic() - started)

    def test_connection_that_says_nothing(self):
        with socket.create_connection(("127.0.0.1", self.edge.port)) as connection:
            with self.counted("tls_handshake_failures_total", reason="timeout"):
                self.closed_after(connection, 0.7, 6.0)

    def test_handshake_that_never_ends(self):
        client = tls_client.TlsClient(self.edge.port, self.context(), handshake=False)
        hello = client.client_hello()
        started = time.monotonic()
        with self.counted("tls_handshake_failures_total", reason="timeout"):
            # Dripping bytes buys no time.
            try:
                for byte in hello[:-1]:
                    client.socket.sendall(bytes([byte]))
                    time.sleep(0.05)
                    if time.monotonic() - started > 8.0:
                        break
            except ConnectionError:
                pass
            self.closed_after(client.socket, 0.0, 6.0)
        self.assertLess(time.monotonic() - started, 8.0)
        client.socket.close()

    def test_message_that_never_ends(self):
        for cut in (10, -5):
            with self.subTest(cut=cut):
                client = self.client()
                wanted = request(body=b"0123456789")
                client.send(wanted.bytes[:cut])
                started = time.monotonic()
                answers = client.wait_closed()
                self.assertTrue(0.7 <= time.monotonic() - started <= 6.0)
                self.assertIn([answer.status for answer in answers], ([], [408]))
                self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_message_that_drips(self):
        client = self.client()
        wanted = request(headers=["X-Long: " + "x" * 2000])
        started = time.monotonic()
        with self.assertRaises((tls_client.Closed, OSError)):
            for n in range(len(wanted.bytes)):
                client.send(wanted.bytes[n:n + 1])
                time.sleep(0.02)
        self.assertLess(time.monotonic() - started, 8.0)

    def test_idle_connection_is_closed_and_a_ping_keeps_it(self):
        idle, pinged = self.client(), self.client()
        for client in (idle, pinged):
            self.assertEqual(client.exchange(request()).status, 200)
        stop = time.monotonic() + 6.5
        ended = []
        waiter = threading.Thread(target=lambda: ended.append((idle.wait_closed(), time.monotonic())))
        waiter.start()
        started = time.monotonic()
        while time.monotonic() < stop:
            self.assertTrue(pinged.is_open())
            time.sleep(0.5)
        waiter.join(20.0)
        self.assertEqual(ended[0][0], [])
        self.assertTrue(2.0 <= ended[0][1] - started <= 6.5)
        self.assertEqual(pinged.exchange(request()).status, 200)


class ConnectionLimitTest(scene.SceneTest):
    config = {"edge": {"shards": 1}, "limits": {"connections": 6}}

    def test_connections_beyond_the_limit_cost_the_holder_of_most_its_oldest(self):
        other = self.client("URI:sip:b.example")
        with self.counted("connections_closed_total", 11, direction="in", reason="overload"):
            opened = [self.client() for _ in range(16)]
        for client in opened[:11]:
            with self.assertRaises((tls_client.Closed, ConnectionError)):
                client.exchange(request())
        for client in opened[11:]:
            self.assertEqual(client.exchange(request()).status, 200)
        self.assertEqual(other.exchange(request(sender="<sip:v@b.example>;tag=1")).status, 200)


class EachHasOneConnectionTest(scene.SceneTest):
    config = {"edge": {"shards": 1}, "limits": {"connections": 2}}

    def test_newcomer_is_closed_where_nobody_has_more(self):
        clients = [self.client(), self.client("URI:sip:b.example")]
        with self.counted("connections_rejected_total", 1, reason="limit"), self.assertRaises(
                (tls_client.Closed, ConnectionError)):
            self.client("URI:sip:c.example")
        self.assertEqual(clients[0].exchange(request()).status, 200)
        clients[0].close()
        self.edge.wait_metric("connections_active", 1)
        self.assertEqual(self.client().exchange(request()).status, 200)


class SourceConnectionsTest(scene.SceneTest):
    """Each shard enforces these limits whole; with one shard they are exact."""

    config = {"edge": {"shards": 1}, "limits": {"source-connections": 3}}

    def test_source_beyond_its_connections_is_closed_and_others_connect(self):
        opened = [self.client() for _ in range(3)]
        with self.counted("connections_rejected_total", reason="limit"), self.assertRaises(
                (tls_client.Closed, ConnectionError)):
            self.client()
        with tls_client.TlsClient(self.edge.port, self.context(), source="127.0.0.2") as other:
            self.assertEqual(other.exchange(request()).status, 200)
        for client in opened:
            self.assertEqual(client.exchange(request()).status, 200)
        opened[0].close()
        self.edge.wait_metric("connections_active", 2)
        self.assertEqual(self.client().exchange(request()).status, 200)


class SourceHandshakesTest(scene.SceneTest):
    config = {"edge": {"shards": 1}, "limits": {"source-handshakes-per-second": 2}}

    def test_source_beyond_its_handshakes_is_closed_and_comes_back(self):
        opened, refused = [], 0
        before = self.edge.metrics().value("connections_rejected_total", reason="rate")
        deadline = time.monotonic() + 20.0
        while refused == 0 and time.monotonic() < deadline:
            try:
                opened.append(self.client())
            except (tls_client.Closed, ConnectionError):
                refused += 1
        self.assertEqual(refused, 1)
        self.edge.wait_metric("connections_rejected_total", before + 1, reason="rate")
        with tls_client.TlsClient(self.edge.port, self.context(), source="127.0.0.2") as other:
            self.assertEqual(other.exchange(request()).status, 200)
        for client in opened:
            self.assertEqual(client.exchange(request()).status, 200)
        while time.monotonic() < deadline:
            try:
                self.assertEqual(self.client().exchange(request()).status, 200)
                return
            except (tls_client.Closed, ConnectionError):
                time.sleep(0.1)
        self.fail("it may never come back")


class IdentityRateTest(scene.SceneTest):
    config = {"edge": {"shards": 1}, "limits": {"identity-messages-per-second": 5}}

    def test_identity_beyond_its_rate_gets_503_and_others_are_served(self):
        client, other = self.client(), self.client("URI:sip:b.example")
        other.own_uri = "sip:bob@b.example"
        wanted = [request() for _ in range(40)]
        with self.rejected("limit", lambda n: n >= 20):
            client.send(b"".join(one.bytes for one in wanted))
            answers = [client.receive_final() for _ in wanted]
        refused = [answer for answer in answers if answer.status == 503]
        self.assertGreaterEqual(len(refused), 20)
        self.assertGreaterEqual(len(answers) - len(refused), 5)
        for answer in refused:
            self.assertRegex(answer.header("retry-after"), r"^[1-9]\d*")
        # The bucket of the other is its own.
        self.assertEqual(other.exchange(request(sender="<sip:bob@b.example>;tag=1")).status, 200)
        deadline = time.monotonic() + 20.0
        while client.exchange(request()).status != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)


class AllowedNetworksTest(scene.SceneTest):
    """`allow` names the networks that may connect."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"][0]["allow"] = ["127.0.0.2/32", "192.0.2.0/24"]
        return config

    def test_others_are_closed_before_tls(self):
        with self.counted("connections_rejected_total", reason="acl"), self.assertRaises(
                (tls_client.Closed, ConnectionError)):
            self.client()
        allowed = tls_client.TlsClient(self.edge.port, self.context(), source="127.0.0.2")
        with allowed:
            self.assertEqual(allowed.exchange(request()).status, 200)


class TransactionLimitTest(scene.SceneTest):
    config = {"limits": {"transactions": 16}}

    def test_transactions_beyond_the_limit_get_503(self):
        client = self.client()
        wanted = [request() for _ in range(40)]
        for one in wanted:
            self.hop.rules[one.call_id] = next_hop.silent
        barrier = request("OPTIONS", uri="sip:edge.example", max_forwards="0")  # Answered by the edge, in order.
        with self.counted("requests_rejected_total", lambda n: n >= 24, reason="limit"):
            client.send(b"".join(one.bytes for one in wanted) + barrier.bytes)
            refused = set()
            while True:
                answer = client.receive_final()
                if answer.call_id == barrier.call_id:
                    break
                self.assert_refused(answer, 503)
                self.assertRegex(answer.header("retry-after"), r"^\d+")
                refused.add(answer.call_id)
        for one in wanted:
            self.assertEqual(one.call_id in refused, not self.hop.seen(one.call_id))
        # Each shard has its part of the limit.
        self.assertTrue(1 <= len(wanted) - len(refused) <= 16)


class SlowReaderTest(scene.SceneTest):
    transport = "tcp"
    config = {"limits": {"queue-bytes": 200000}}

    def test_slow_reader_is_closed_at_its_bound_and_others_are_served(self):
        body = b"r" * 60000
        self.hop.rule = lambda hop, m: hop.respond(m, 200, "OK", body=body if m.method == "INFO" else b"")
        slow = tls_client.TlsClient(self.edge.port, self.context(), receive_buffer=4096)
        healthy = self.client()
        with self.counted("slow_peers_disconnected_total", 1):
            try:
                # The kernel's buffers on both sides take some megabytes before the edge feels anything.
                for n in range(400):
                    slow.send(request("INFO"))
                    if n % 20 == 0:
                        self.assertEqual(healthy.exchange(request()).status, 200)
            except (tls_client.Closed, OSError):
                pass
        self.assertEqual(healthy.exchange(request()).status, 200)
        slow.socket.close()
        self.edge.wait_metric("memory_bytes", lambda value: value < 1 << 20, area="buffers")


class PartialMessageLimitTest(scene.SceneTest):
    config = {"limits": {"partial-bytes": "1MiB"}}

    def test_partial_messages_are_bounded_over_all_connections(self):
        healthy = self.client()
        wanted = request(body=b"x" * 60000)
        clients = [self.client() for _ in range(40)]
        closed = 0
        for client in clients:
            try:
                client.send(wanted.bytes[:-1])
            except (tls_client.Closed, OSError):
                pass
        for client in clients:
            try:
                client.receive(timeout=0.3)
            except tls_client.Silence:
                continue
            except tls_client.Closed:
                closed += 1
        # 1 MiB holds seventeen of them; where the bound is split over shards, one or two fewer each.
        self.assertGreaterEqual(closed, 40 - 18)
        self.assertLess(closed, 40)
        self.assertEqual(healthy.exchange(request()).status, 200)


class LeakTest(scene.SceneTest):

    def test_nothing_is_left_after_a_crowd_has_gone(self):
        def crowd():
            clients = [tls_client.TlsClient(self.edge.port, self.context(version=version))
                       for version in ("1.2", "1.3") * 10]
            for n, client in enumerate(clients):
                wanted = request(body=b"12345")
                client.send(wanted.bytes[:-1 if n % 3 else None])
            for n, client in enumerate(clients):
                (client.reset, client.close, client.close_without_notify)[n % 3]()
        crowd()
        self.edge.wait_metric("connections_active", 0)
        self.edge.wait_metric("sip_transactions_active", 0)
        before = self.edge.metrics()
        for _ in range(3):
            crowd()
        self.edge.wait_metric("connections_active", 0)
        self.edge.wait_metric("sip_transactions_active", 0)
        self.edge.wait_metric("memory_bytes", lambda value: value <= before.value("memory_bytes", area="buffers"), area="buffers")
        self.edge.wait_metric("process_open_fds", lambda value: value <= before.value("process_open_fds") + 2)
        self.edge.wait_metric("memory_bytes", lambda value: value < 1 << 20, area="buffers")


if __name__ == "__main__":
    scene.main()
