"""SIGHUP: what changes, for whom, and what a bad configuration leaves as it was."""
import hashlib
import os
import secrets
import shutil
import signal
import time

from harness import edge as edge_process
from harness import next_hop, scene, tls_client
from harness.certificates import Authority
from harness.messages import ack_for, cancel_for, request


def fingerprint(client):
    return hashlib.sha256(client.tls.getpeercert(binary_form=True)).hexdigest()


class ReloadTest(scene.SceneTest):

    def setUp(self):
        self.fresh = self.another_edge()

    def client(self, *identities, **more):
        more.setdefault("edge", self.fresh)
        return super().client(*identities, **more)

    def test_same_configuration_again(self):
        client = self.client()
        for _ in range(5):
            self.fresh.reload({})
            self.assertEqual(client.exchange(request()).status, 200)
            self.assertEqual(self.client().exchange(request()).status, 200)
        self.assertEqual(self.fresh.metrics().value("config_reloads_total", result="ok"), 5)
        self.assertGreater(self.fresh.metrics().value("config_last_reload_success_timestamp_seconds"), 1.5e9)

    def bad(self, **how):
        lines = len(self.fresh.log_lines())
        self.fresh.reload(result="rejected", **how)
        self.assertEqual(self.fresh.metrics().value("config_reloads_total", result="rejected"), 1)
        deadline = time.monotonic() + 10.0
        while True:  # The log has a thread of its own.
            said = "\n".join(self.fresh.log_lines()[lines:])
            if '"level":"error"' in said or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self.assertIn('"level":"error"', said)
        # The last good one is in force.
        self.assertEqual(self.client().exchange(request()).status, 200)
        self.fresh.write_config()
        self.fresh.reload({})
        return said

    def test_syntax_error_keeps_the_last_good(self):
        said = self.bad(text="[edge\ndomain = ")
        self.assertRegex(said, r"sallyport-\d+\.toml:1:\d+")

    def test_semantic_error_keeps_the_last_good(self):
        said = self.bad(changes={"limits": {"header-bytes": "many"}, "edge": {"domain": ""}})
        self.assertIn("header-bytes", said)

    def test_missing_certificate_keeps_the_last_good(self):
        self.bad(changes={"tls.federation": {"certificate": "/nonexistent/edge.pem"}})

    def test_missing_file_keeps_the_last_good(self):
        os.rename(self.fresh.path, self.fresh.path + ".away")
        self.fresh.process.send_signal(signal.SIGHUP)
        self.fresh.wait_metric("config_reloads_total", 1, result="rejected")
        self.assertEqual(self.client().exchange(request()).status, 200)
        os.rename(self.fresh.path + ".away", self.fresh.path)
        self.fresh.reload({})

    def test_restart_only_keys_are_refused_with_a_message(self):
        address = "127.0.0.1:%d" % edge_process.free_port()
        listeners = [dict(self.fresh.config["listener"][0], address=address), self.fresh.config["listener"][1]]
        said = self.bad(changes={"listener": listeners})
        self.assertIn("restart", said)

    def test_restart_only_shards(self):
        said = self.bad(changes={"edge": {"shards": 1 if len(os.sched_getaffinity(0)) != 1 else 2}})
        self.assertIn("shards", said)
        self.assertIn("restart", said)

    def test_new_certificate_is_shown_to_new_connections(self):
        old = self.client()
        self.assertEqual(old.exchange(request()).status, 200)
        renewed = self.authority.leaf(*scene.EDGE, "DNS:renewed.edge.example")
        self.fresh.reload({"tls.federation": {"certificate": renewed.chain, "certificate-key": renewed.key}})
        new = self.client()
        self.assertNotEqual(fingerprint(old), fingerprint(new))
        self.assertIn(("DNS", "renewed.edge.example"), new.tls.getpeercert()["subjectAltName"])
        for client in (old, new):
            self.assertEqual(client.exchange(request()).status, 200, "open connections live on")

    def test_certificate_that_was_replaced_in_place(self):
        # What certbot and cert-manager do: the same path, other bytes.
        certificate = self.authority.leaf(*scene.EDGE)
        places = [self.folder + "/rotating.pem", self.folder + "/rotating.key"]
        for source, place in zip((certificate.chain, certificate.key), places):
            shutil.copy(source, place)
        self.fresh.reload({"tls.federation": {"certificate": places[0], "certificate-key": places[1]}})
        before = fingerprint(self.client())
        renewed = self.authority.leaf(*scene.EDGE, "DNS:rotated.edge.example")
        for source, place in zip((renewed.chain, renewed.key), places):
            shutil.copy(source, place)
        self.fresh.reload({})
        self.assertNotEqual(fingerprint(self.client()), before)

    def test_new_authority_is_trusted_and_the_old_one_no_more(self):
        other = Authority(self.folder, "reload-ca-%s" % self._testMethodName, "Other CA")
        stranger = tls_client.context(self.authority, other.leaf(scene.DOMAIN))
        tls_client.refused(self.fresh.port, stranger, request().bytes)
        self.fresh.reload({"tls.federation": {"trusted-ca": other.path}})
        with tls_client.TlsClient(self.fresh.port, stranger) as client:
            self.assertEqual(client.exchange(request()).status, 200)
        tls_client.refused(self.fresh.port, self.context(), request().bytes)

    def test_domains_change_for_the_next_message(self):
        client = self.client()
        wanted = "sip:bob@later.example"
        self.assertEqual(client.exchange(request(uri=wanted)).status, 403)
        self.fresh.reload({"edge": {"domains": ["edge.example", "later.example"]}})
        self.assertEqual(client.exchange(request(uri=wanted)).status, 200)
        self.fresh.reload({"edge": {"domains": ["edge.example"]}})
        self.assertEqual(client.exchange(request(uri=wanted)).status, 403)

    def test_identity_header_changes_for_the_next_message(self):
        client = self.client()
        for mode, header in (("ppi", "p-preferred-identity"), ("none", None), ("pai", "p-asserted-identity")):
            self.fresh.reload({"identity-header": {"mode": mode}})
            wanted = request()
            self.assertEqual(client.exchange(wanted).status, 200)
            (seen,) = self.hop.seen(wanted.call_id)
            for name in ("p-preferred-identity", "p-asserted-identity"):
                self.assertEqual(seen.all(name), ["<sip:alice@a.example>"] if name == header else [])

    def test_limits_change(self):
        client = self.client()
        large = request(body=b"x" * 3000)
        self.assertEqual(client.exchange(large).status, 200)
        self.fresh.reload({"limits": {"body-bytes": 2000}})
        self.assertEqual(self.client().exchange(request(body=b"x" * 3000)).status, 513)

    def test_next_hop_changes(self):
        other = next_hop.NextHop("udp")
        client = self.client()
        self.assertEqual(client.exchange(request()).status, 200)
        self.fresh.reload({"next-hop": [{"name": "core", "targets": [other.target], "zone": "inside"}]})
        wanted = request()
        self.assertEqual(client.exchange(wanted).status, 200)
        self.assertEqual(len(other.seen(wanted.call_id)), 1)
        self.assertEqual(self.hop.seen(wanted.call_id), [])
        other.close()

    def test_rotation_of_the_secret_leaves_everybody_who_he_is(self):
        """A CANCEL is of the same peer, also on a connection that is younger than the secret."""
        secret = self.fresh.config["edge"]["secret"].removeprefix("file:")
        with open(secret, encoding="ascii") as text:
            old = text.read()
        invite = request("INVITE")
        self.hop.rules[invite.call_id] = lambda hop, m: m.method == "INVITE" and hop.respond(m, 180, "Ringing")
        caller = self.client()
        caller.send(invite)
        self.assertEqual([caller.receive().status for _ in range(2)], [100, 180])
        for content in (secrets.token_hex(32) + "\n" + old, secrets.token_hex(32) + "\n"):
            with open(secret, "w", encoding="ascii") as out:
                out.write(content)
            self.fresh.reload({})
        self.assertEqual(self.client().exchange(cancel_for(invite)).status, 200)
        (cancel,) = self.hop.wait(invite.call_id, "CANCEL")
        self.hop.respond(cancel, 200, "OK")
        self.hop.respond(self.hop.seen(invite.call_id, "INVITE")[0], 487, "Request Terminated")
        caller.send(ack_for(invite, caller.receive_final(invite.call_id)))

    def test_transaction_under_way_survives(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = next_hop.silent
        client.send(wanted)
        seen = self.hop.wait(wanted.call_id)[0]
        self.fresh.reload({"identity-header": {"mode": "none"}})
        self.fresh.reload({"edge": {"domains": ["edge.example", "more.example"]}})
        self.hop.respond(seen, 200, "OK")
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)

    def test_reloads_under_load_lose_nothing(self):
        clients = [self.client() for _ in range(4)]
        for round_number in range(10):
            self.fresh.write_config()
            self.fresh.process.send_signal(signal.SIGHUP)
            wanted = [request() for _ in clients for _ in range(5)]
            for n, one in enumerate(wanted):
                clients[n % len(clients)].send(one)
            for n, client in enumerate(clients):
                for _ in range(5):
                    self.assertEqual(client.receive_final().status, 200, "round %d" % round_number)
        # Signals that arrive during a reload may be one reload.
        self.fresh.wait_metric("config_reloads_total", lambda value: value >= 1, result="ok")


if __name__ == "__main__":
    scene.main()
