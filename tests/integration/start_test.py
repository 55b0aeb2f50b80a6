"""What a start says of listeners that cannot listen, and of a process that has their addresses."""
import os
import resource
import socket
import subprocess
import time
import unittest

from harness import edge as edge_process
from harness import scene
from harness.edge import run
from harness.messages import request

FOREIGN = "192.0.2.1"  # TEST-NET-1 (RFC 5737): on no interface.


class StartTest(scene.SceneTest):
    config = {"edge": {"shards": 2}}

    def start_with(self, changes):
        """(exit code, standard error) of `run` on the usual configuration with `changes`."""
        path = os.path.join(self.folder, "start.toml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(edge_process.toml(edge_process.merge(edge_process.merge(self.usual_config(), self.config),
                                                           changes)))
        done = run("run", "--config", path, timeout=30.0)
        return done.returncode, done.stderr

    def taken(self, kind):
        """An address that a socket of this test has."""
        port = edge_process.free_port()
        owner = socket.socket(socket.AF_INET, kind)
        self.addCleanup(owner.close)
        owner.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            owner.listen(1)
        return "127.0.0.1:%d" % port

    def test_every_listener_that_cannot_listen_is_named_in_one_run(self):
        tcp, udp = self.taken(socket.SOCK_STREAM), self.taken(socket.SOCK_DGRAM)
        good = self.inside("good")
        allow = {"allow": ["127.0.0.0/8"]}
        broken = {
            "tls-taken": dict(self.outside("tls-taken"), address=tcp),
            "udp-taken": dict(self.inside("udp-taken", "udp"), address=udp),
            "tcp-foreign": dict(self.inside("tcp-foreign", "tcp"), address=FOREIGN + ":5070", **allow),
            "udp-foreign": dict(self.inside("udp-foreign", "udp"), address=FOREIGN + ":5072", **allow),
        }
        code, said = self.start_with({"listener": [good, *broken.values(), self.outside("last")]})
        self.assertEqual(code, 2, said)
        for name, listener in broken.items():
            with self.subTest(listener=name):
                cause = "not on any interface" if FOREIGN in listener["address"] else "another process"
                self.assertRegex(said, r'listener "%s" cannot listen on %s .*%s' % (name, listener["address"], cause))
        for name in ("good", "last"):
            self.assertNotIn('"%s"' % name, said)
        self.assertNotIn("CHECK", said)

    def test_the_admin_page_too(self):
        code, said = self.start_with({"edge": {"admin": self.taken(socket.SOCK_STREAM)},
                                      "listener": [self.outside(address=self.taken(socket.SOCK_STREAM)),
                                                   self.inside()]})
        self.assertEqual(code, 2, said)
        self.assertRegex(said, r"the admin page cannot listen on 127\.0\.0\.1:\d+ ")
        self.assertIn('listener "federation" cannot listen', said)

    def end_under(self, kind, limit):
        """(exit code, output) of `run` under a limit of the system; one that serves is terminated."""
        edge = self.new_edge(self.config, start=False)
        with open(edge.log_path, "wb") as log:
            process = subprocess.Popen([edge_process.binary(), "run", "--config", edge.path], stdout=log, stderr=log,
                                       env=edge_process.environment(),
                                       preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)))
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 20.0
        while process.poll() is None and not edge.is_ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.terminate()
        return process.wait(10.0), edge.log()

    # UBSan asks through a pipe whether memory can be read and takes a pipe that it cannot open for a
    # broken object; ASan and TSan map more than any limit.
    @unittest.skipIf(edge_process.is_sanitized(), "a sanitizer needs descriptors and memory of its own")
    def test_a_limit_of_the_system_is_words_and_no_signal(self):
        for kind, limits in ((resource.RLIMIT_NOFILE, range(4, 30, 2)),
                             (resource.RLIMIT_AS, range(1 << 28, 1 << 30, 1 << 27))):
            codes = []
            for limit in limits:
                with self.subTest(kind=kind, limit=limit):
                    code, said = self.end_under(kind, limit)
                    codes.append(code)
                    self.assertIn(code, (0, 2, 3), said)
                    self.assertRegex(said, r"(?m)^(sallyport: |/|\{).+")
                    self.assertNotIn("CHECK", said)
            self.assertEqual(codes[0], 2)

    def test_second_process_on_the_same_listeners_is_refused(self):
        for only in (None, "federation", "core"):
            with self.subTest(same=only or "all"):
                listeners = [dict(listener) for listener in self.edge.config["listener"]]
                for listener in listeners:
                    if only not in (None, listener["name"]):
                        listener["address"] = self.free_address()
                code, said = self.start_with({"listener": listeners})
                self.assertEqual(code, 2, said)
                for listener in self.edge.config["listener"]:
                    self.assertEqual(listener["address"] in said, only in (None, listener["name"]), said)
        for _ in range(8):
            self.assertEqual(self.client().exchange(request()).status, 200)

    def test_a_start_is_free_right_after_the_exit(self):
        edge = self.another_edge({"edge": {"shards": 2}, "timeouts": {"drain": "1s"}})
        port = edge.port
        client = socket.create_connection(("127.0.0.1", port))  # The edge closes first: TIME_WAIT on its side.
        edge.terminate()
        edge.wait_exit()
        client.close()
        edge.start()
        self.assertTrue(edge.is_ready())

    def test_an_address_beside_the_wildcard_of_its_port(self):
        port = edge_process.free_port()
        edge = self.another_edge({"edge": {"shards": 2}, "listener": [
            self.outside("all", address="0.0.0.0:%d" % port),
            dict(self.inside("own", "tcp"), address="127.0.0.1:%d" % port), self.inside()]})
        code, said = self.start_with({"listener": [self.outside("late", address="127.0.0.1:%d" % port),
                                                   self.inside()]})
        self.assertEqual(code, 2, said)
        self.assertIn("127.0.0.1:%d" % port, said)
        self.assertTrue(edge.is_ready())


if __name__ == "__main__":
    scene.main()
