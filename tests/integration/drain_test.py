"""SIGTERM: not ready any more, what is under way ends, then the process does."""
import signal
import time

from harness import next_hop, scene, tls_client
from harness.messages import ack_for, request


class DrainTest(scene.SceneTest):

    def setUp(self):
        self.hop.rule = next_hop.accept

    def start(self, drain="20s"):
        return self.another_edge({"timeouts": {"drain": drain}})

    def wait_unready(self, edge):
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            try:
                status, text = edge.page("/readyz")
            except OSError:
                self.fail("the admin page was gone before it said 503")
            if status == 503:
                self.assertIn("drain", text)
                return
            time.sleep(0.02)
        self.fail("/readyz never answered 503")

    def begin(self, edge, method="MESSAGE"):
        client = self.client(edge=edge)
        wanted = request(method)
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        return client, wanted, self.hop.wait(wanted.call_id)[0]

    def test_idle_edge_ends_at_once_and_cleanly(self):
        edge = self.start()
        started = time.monotonic()
        edge.terminate()
        self.assertEqual(edge.wait_exit(), 0)
        self.assertLess(time.monotonic() - started, 10.0)

    def test_idle_connections_are_closed_with_a_notify(self):
        edge = self.start()
        clients = [self.client(edge=edge, version=version) for version in ("1.2", "1.3")]
        for client in clients:
            self.assertEqual(client.exchange(request()).status, 200)
        edge.terminate()
        for client in clients:
            self.assertEqual(client.wait_closed(), [])
            self.assertIsNone(client.ended.alert)
            client.close()
        self.assertEqual(edge.wait_exit(), 0)

    def test_transaction_under_way_ends_first(self):
        for method in ("MESSAGE", "INVITE"):
            with self.subTest(method=method):
                edge = self.start()
                client, wanted, seen = self.begin(edge, method)
                edge.terminate()
                self.wait_unready(edge)
                self.assertEqual(edge.page("/livez")[0], 200, "live until the end")
                self.assertEqual(edge.metrics().value("draining"), 1)
                self.assertTrue(edge.is_alive())
                self.hop.respond(seen, 486 if method == "INVITE" else 200, "Done")
                answer = client.receive_final(wanted.call_id)
                self.assertEqual(answer.reason, "Done")
                if method == "INVITE":
                    client.send(ack_for(wanted, answer))
                client.wait_closed()
                client.close()
                self.assertEqual(edge.wait_exit(), 0)

    def test_new_dialogs_are_refused_while_old_work_goes_on(self):
        edge = self.start()
        client, wanted, seen = self.begin(edge)
        edge.terminate()
        self.wait_unready(edge)
        invite = request("INVITE")
        with self.rejected("overload", edge=edge):
            answer = client.exchange(invite)
        self.assert_refused(answer, 503)
        self.assertRegex(answer.header("retry-after"), r"^\d+")
        self.assertEqual(self.hop.seen(invite.call_id), [])
        # In-dialog work is served until the end.
        bye = request("BYE", to="<sip:bob@edge.example>;tag=dialog")
        self.assertEqual(client.exchange(bye).status, 200)
        self.hop.respond(seen, 200, "OK")
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)
        client.wait_closed()
        client.close()
        self.assertEqual(edge.wait_exit(), 0)

    def test_deadline_cuts_off_and_says_so(self):
        edge = self.start(drain="1s")
        client, _, _ = self.begin(edge)
        started = time.monotonic()
        edge.terminate()
        self.assertEqual(edge.wait_exit(), 3)
        self.assertGreater(time.monotonic() - started, 0.8)
        client.wait_closed()

    def test_second_signal_ends_at_once(self):
        edge = self.start(drain="60s")
        client, _, _ = self.begin(edge)
        edge.terminate()
        self.wait_unready(edge)
        started = time.monotonic()
        edge.terminate()
        self.assertIn(edge.wait_exit(), (0, 3))
        self.assertLess(time.monotonic() - started, 5.0)
        client.socket.close()

    def test_drain_in_the_middle_of_handshakes(self):
        edge = self.start(drain="3s")
        clients = [tls_client.TlsClient(edge.port, self.context(), handshake=False) for _ in range(5)]
        edge.terminate()
        self.assertIn(edge.wait_exit(), (0, 3))
        for client in clients:
            client.socket.close()

    def test_interrupt_is_a_drain_too(self):
        edge = self.start()
        edge.process.send_signal(signal.SIGINT)
        self.assertEqual(edge.wait_exit(), 0)

    def test_restart_on_the_same_addresses(self):
        edge = self.start()
        for _ in range(3):
            with tls_client.TlsClient(edge.port, self.context()) as client:
                self.assertEqual(client.exchange(request()).status, 200)
            edge.terminate()
            self.assertEqual(edge.wait_exit(), 0)
            edge.start()

    def test_kill_and_restart(self):
        edge = self.start()
        client = self.client(edge=edge)
        self.assertEqual(client.exchange(request()).status, 200)
        edge.process.kill()
        edge.process.wait()
        edge.start()
        self.assertEqual(self.client(edge=edge).exchange(request()).status, 200)


if __name__ == "__main__":
    scene.main()
