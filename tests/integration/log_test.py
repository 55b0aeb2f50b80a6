"""The lines by which an operator finds out what became of a call: read from the log that the binary writes."""
import json
import os
import unittest

from harness import next_hop, scene, tls_client
from harness.certificates import Authority, general_names
from harness.messages import request, response_to

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


def documented():
    """The fields of each event, by the examples in the README."""
    with open(README, encoding="utf-8") as text:
        section = text.read().split("\n## Log\n")[1].split("\n## ")[0]
    examples = [json.loads(line) for line in section.splitlines() if line.startswith('{"time"')]
    return {example["event"]: set(example) for example in examples}


FIELDS = documented()


class LogLinesTest(scene.SceneTest):

    @classmethod
    def prepare(cls):
        cls.stranger = Authority(cls.folder, "stranger", "Stranger \\\"CA\\\"")

    def assert_printable(self):
        for line in self.edge.log_lines():
            self.assertTrue(line.isascii() and line.isprintable(), line)

    def refused(self, **parts):
        wanted = request(uri="sip:hidden@edge.example", sender="<sip:secret@b.example>;tag=1", **parts)
        self.assert_refused(self.client().exchange(wanted), 403)
        return wanted

    def test_refused_request(self):
        wanted = self.refused()
        told = self.edge.wait_event("request-refused", reason="from-not-covered")
        self.assertEqual(set(told), FIELDS["request-refused"])
        self.assertEqual((told["status"], told["method"], told["cseq"]), (403, "MESSAGE", "1 MESSAGE"))
        self.assertEqual((told["request_uri_host"], told["from_host"]), ("edge.example", "b.example"))
        self.assertEqual((told["zone"], told["listener"], told["identities"]), ("outside", "federation", "sip:a.example"))
        self.assertRegex(told["call_id"], "^[0-9a-f]{16}$")
        for word in (wanted.call_id, "hidden", "secret@"):
            self.assertNotIn(word, self.edge.log())

    def test_what_is_shown_of_people_is_live(self):
        self.addCleanup(self.edge.reload, {"log": {"users": False, "call-id": "hash"}})
        self.edge.reload({"log": {"users": True, "call-id": "plain"}})
        wanted = self.refused(call_id="shown\"@a.example")
        told = self.edge.wait_event("request-refused", call_id=wanted.call_id)
        self.assertEqual((told["request_uri_user"], told["from_user"], told["to_user"]), ("hidden", "secret", "bob"))
        self.edge.reload({"log": {"users": False, "call-id": "off"}})
        self.refused(cseq=77)
        self.assertNotIn("call_id", self.edge.wait_event("request-refused", cseq="77 MESSAGE"))

    def test_refused_handshake(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                certificate = self.stranger.leaf("CN=line\\n%s \\\"quoted\\\"" % version, san_der=general_names(
                    (0x86, b"sip:a.example"), (0x82, b"a\x1b\".example")))
                tls_client.refused(self.edge.port, tls_client.context(self.authority, certificate, version),
                                   request().bytes)
                told = self.edge.wait_event("handshake-failed", reason="untrusted_ca",
                                            subject="CN=line\\0a%s \\\"quoted\\\"" % version)
                self.assertEqual(set(told), FIELDS["handshake-failed"])
                self.assertEqual(told["issuer"], "CN=Stranger \\\"CA\\\"")
                self.assertEqual(told["san"], "URI:sip:a.example, DNS:a\x1b\".example")
                self.assertRegex(told["serial"], "^[0-9a-f]{2,40}$")
                self.assertEqual((told["listener"], told["zone"], told["cause"]), ("federation", "outside", ""))
        self.assert_printable()

    def test_refused_handshake_of_a_certificate_with_many_names(self):
        names = ["DNS:host%d.some.a.example" % n for n in range(200)]
        tls_client.refused(self.edge.port, tls_client.context(self.authority, self.stranger.leaf(*names), "1.3"),
                           request().bytes)
        told = self.edge.wait_event("handshake-failed", truncated=True)
        self.assertEqual(set(told), FIELDS["handshake-failed"] | {"truncated"})
        self.assertTrue(told["san"].startswith("DNS:host0.some.a.example, DNS:host1"), told["san"])
        self.assertLessEqual(len(told["san"]), 256)

    def test_refused_handshake_without_a_certificate(self):
        tls_client.refused(self.edge.port, tls_client.context(self.authority, None, "1.3"), request().bytes)
        told = self.edge.wait_event("handshake-failed", reason="no_cert")
        self.assertEqual((told["subject"], told["issuer"], told["serial"], told["san"]), ("", "", "", ""))

    def test_dropped_response(self):
        wanted = request(cseq=42)
        self.assertEqual(self.client().exchange(wanted).status, 200)
        (arrived,) = self.hop.wait(wanted.call_id)
        self.hop.send(response_to(arrived, 200, "OK"), arrived.origin)
        told = self.edge.wait_event("response-dropped", cseq="42 MESSAGE")
        self.assertEqual(set(told), FIELDS["response-dropped"])
        self.assertEqual((told["reason"], told["status"], told["zone"]), ("no_transaction", 200, "inside"))
        self.assertRegex(told["call_id"], "^[0-9a-f]{16}$")
        self.assertNotIn(wanted.call_id, self.edge.log())


class OneCallTest(scene.SceneTest):
    """The lines of one call belong together."""

    config = {"log": {"level": "debug"}}

    def test_every_line_of_a_call_has_its_call_id(self):
        wanted = request(cseq=43)
        self.assertEqual(self.client().exchange(wanted).status, 200)
        (arrived,) = self.hop.wait(wanted.call_id)
        self.hop.send(response_to(arrived, 200, "OK"), arrived.origin)
        dropped = self.edge.wait_event("response-dropped", cseq="43 MESSAGE")
        served = self.edge.wait_event("request", cseq="43 MESSAGE")
        self.assertEqual(set(served), FIELDS["request"])
        self.assertEqual(served["call_id"], dropped["call_id"])
        self.assertEqual((served["status"], served["next_hop"]), (200, "core"))
        self.assertEqual(served["target"], "127.0.0.1:%d" % self.hop.port)
        self.assertEqual((served["request_uri_host"], served["from_host"]), ("edge.example", "a.example"))


class NextHopLinesTest(scene.SceneTest):

    transport = "tcp"

    @classmethod
    def usual_config(cls):
        made = super().usual_config()
        made["next-hop"][0]["health"] = {"interval": "1s", "timeout": "300ms"}
        made["timeouts"].update({"target": "1s"})
        return made

    def test_next_hop_that_goes_down_and_comes_up(self):
        client = self.client()
        self.edge.wait_metric("upstream_healthy", 1, peer="core")
        self.hop.rule = next_hop.silent
        told = self.edge.wait_event("next-hop-health", timeout=30.0, state="down")
        self.assertEqual(set(told), FIELDS["next-hop-health"])
        self.assertEqual((told["next_hop"], told["transport"], told["level"]), ("core", "tcp", "warning"))
        self.assertEqual(told["target"], "127.0.0.1:%d" % self.hop.port)
        self.assertEqual(client.exchange(request()).status, 503)
        refused = self.edge.wait_event("request-refused", reason="next-hop-unreachable")
        self.assertEqual(set(refused), FIELDS["request-refused"])
        self.assertEqual((refused["next_hop"], refused["status"]), ("core", 503))
        self.hop.rule = next_hop.accept
        self.assertEqual(self.edge.wait_event("next-hop-health", timeout=30.0, state="up")["level"], "info")


if __name__ == "__main__":
    unittest.main()
