"""What an operator sees: check, version, ca, the pages of the admin listener, and the log."""
import ctypes
import json
import os
import re
import shutil
import socket
import resource
import stat
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from harness import edge as edge_process
from harness import scene, tls_client
from harness.certificates import Authority, Certificate, openssl
from harness.edge import run
from harness.messages import request


class CheckTest(scene.SceneTest):

    def check(self, text=None, changes=None, json_output=False):
        """(exit code, output) of `check` on this configuration."""
        if text is None:
            text = edge_process.toml(edge_process.merge(self.usual_config(), changes or {}))
        path = os.path.join(self.folder, "check.toml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        done = run("check", "--config", path, *(["--json"] if json_output else []))
        self.assertNotIn(done.returncode, (98, 99), done.stderr)
        return done.returncode, done.stdout + done.stderr

    def assert_said(self, output, pattern):
        self.assertRegex(output, pattern)

    def test_good_configuration(self):
        code, output = self.check()
        self.assertEqual(code, 0, output)

    def test_what_check_accepts_runs(self):
        self.assertTrue(self.edge.is_ready())
        done = run("check", "--config", self.edge.path)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_warnings(self):
        for name, changes, words in (
                ("no secret", {"edge": {"secret": None}}, "secret"),
                ("SSLv23", {"tls.federation": {"sec-protocol": "SSLv23"}}, "sec-protocol")):
            with self.subTest(case=name):
                code, output = self.check(changes=changes)
                self.assertEqual(code, 1, output)
                self.assert_said(output, r"check\.toml:\d+:\d+: warning: .*" + words)

    def test_errors_with_place_and_remedy(self):
        usual = self.usual_config()
        inside, outside = usual["listener"][1], usual["listener"][0]
        other = self.authority.leaf("DNS:other.example")
        cases = {
            "domain missing": ({"edge": {"domain": None}}, "domain"),
            "certificate missing": ({"tls.federation": {"certificate": None}}, "certificate"),
            "certificate file missing": ({"tls.federation": {"certificate": "/nonexistent.pem"}}, "nonexistent"),
            "key of another certificate": ({"tls.federation": {"certificate-key": other.key}}, "key"),
            "CA file missing": ({"tls.federation": {"trusted-ca": "/nonexistent-ca.pem"}}, "nonexistent-ca"),
            "protocol unknown": ({"tls.federation": {"sec-protocol": "TLSv1"}}, "sec-protocol"),
            "suite unknown": ({"tls.federation": {"ciphersuites": "TLS_NO_SUCH_SUITE"}}, "TLS_NO_SUCH_SUITE"),
            "cipher unknown": ({"tls.federation": {"cipher-list": "ECDHE-NO-SUCH"}}, "ECDHE-NO-SUCH"),
            "two listeners of one name": ({"listener": [outside, inside, dict(inside, name="federation")]},
                                          "federation"),
            "zone missing": ({"listener": [{k: v for k, v in outside.items() if k != "zone"}, inside]}, "zone"),
            "address unreadable": ({"listener": [dict(outside, address="nonsense"), inside]}, "address"),
            "port beyond range": ({"listener": [dict(outside, address="127.0.0.1:70000"), inside]}, "address"),
            "TLS profile unknown": ({"listener": [dict(outside, tls="nobody"), inside]}, "nobody"),
            "inside without allow": ({"listener": [outside, dict(inside, address="0.0.0.0:5070")]}, "allow"),
            "pair not legal": ({"listener": [dict(outside, **{"client-certificate": "ignored"}), inside]},
                               "client-certificate"),
            "target unreadable": ({"next-hop": [{"name": "core", "zone": "inside", "targets": ["sctp:1.2.3.4:5"]}]},
                                  "targets"),
            "target whose name nobody proves": ({"next-hop": [{"name": "core", "zone": "inside",
                                                               "targets": ["tls:192.0.2.7:5061"]}]}, "identity"),
            "route to nobody": ({"route": [{"zone": "outside", "next-hop": "nobody"}]}, "nobody"),
            "route from outside to DNS": ({"route": [{"zone": "outside"}]}, "RFC 3263"),
            "DNS server by name": ({"dns": {"servers": ["ns.example"]}}, "servers"),
            "next hop without zone": ({"next-hop": [{"name": "core", "targets": ["udp:127.0.0.1:5"]}]}, "zone"),
            "wrong type": ({"limits": {"headers": "many"}}, "headers"),
            "out of range": ({"limits": {"headers": 0}}, "headers"),
            "bad duration": ({"timeouts": {"idle": "soon"}}, "idle"),
            "mode unknown": ({"identity-header": {"mode": "rpid"}}, "mode"),
            "level unknown": ({"log": {"level": "chatty"}}, "level"),
            "admin to everybody without a token": ({"edge": {"admin": "0.0.0.0:9090"}}, "admin"),
            "secret file missing": ({"edge": {"secret": "file:/nonexistent.secret"}}, "secret"),
        }
        for name, (changes, words) in cases.items():
            with self.subTest(case=name):
                code, output = self.check(changes=changes)
                self.assertEqual(code, 2, output)
                self.assert_said(output, r"check\.toml:\d+:\d+: error: ")
                self.assertIn(words, output)

    def test_unknown_keys_come_with_a_suggestion(self):
        text = edge_process.toml(self.usual_config())
        for wrong, right in (("trusted-ca", "trusted-cas"), ("zone", "zonee"), ("[[listener]]", "[[listner]]"),
                             ("certificate-key", "certificat-key")):
            with self.subTest(key=right):
                code, output = self.check(text=text.replace(wrong, right, 1))
                self.assertEqual(code, 2, output)
                self.assertIn(right.strip("[]"), output)
                self.assertIn(wrong.strip("[]"), output.replace(right, ""))

    def test_all_semantic_errors_in_one_run(self):
        code, output = self.check(changes={
            "edge": {"domain": "not a domain"}, "limits": {"headers": 0}, "timeouts": {"idle": "soon"},
            "log": {"level": "chatty"}, "identity-header": {"mode": "x"}, "tls.federation": {"certificate": "/no.pem"}})
        self.assertEqual(code, 2)
        places = re.findall(r"check\.toml:(\d+):\d+: error: ", output)
        self.assertGreaterEqual(len(places), 6, output)
        self.assertEqual([int(line) for line in places], sorted(int(line) for line in places), "in file order")

    def test_syntax_error_stops_at_the_first(self):
        code, output = self.check(text="[edge]\ndomain = \"a\nadmin = \n= 5\n")
        self.assertEqual(code, 2)
        self.assertEqual(re.findall(r"check\.toml:(\d+):\d+: error", output), ["2"])

    def test_missing_configuration(self):
        done = run("check", "--config", os.path.join(self.folder, "nothing.toml"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("nothing.toml", done.stdout + done.stderr)

    def test_keys_of_later_versions_say_so(self):
        usual = self.usual_config()
        outside, inside = usual["listener"]
        for name, changes in {
                "[[peer]]": {"peer": [{"name": "a", "match": {"identity": "a.example"}}]},
                "permissions of a route": {"route": [{"next-hop": "core", "requires": ["premium"]}]},
                "[[authority]]": {"authority": [{"certificate": "x.pem", "name": "x"}]},
                "[mappings]": {"mappings": {"common-name": "x.txt"}},
                "tls-crl": {"tls.federation": {"tls-crl": "crl.pem"}},
                "digest": {"listener": [dict(outside, require="digest"), inside]},
                "proxy-protocol": {"listener": [dict(outside, **{"proxy-protocol": ["127.0.0.1/32"]}), inside]},
        }.items():
            with self.subTest(key=name):
                code, output = self.check(changes=changes)
                self.assertEqual(code, 2, output)
                self.assertIn("not available in this version", output)

    def test_certificates_are_judged(self):
        expired = self.authority.leaf(*scene.EDGE, not_before="20200101000000Z", not_after="20210101000000Z")
        elsewhere = self.authority.leaf("URI:sip:elsewhere.example", "DNS:elsewhere.example")
        for certificate, words in ((expired, "expired"), (elsewhere, "edge.example")):
            with self.subTest(words=words):
                code, output = self.check(changes={"tls.federation": {
                    "certificate": certificate.chain, "certificate-key": certificate.key}})
                self.assertIn(code, (1, 2))
                self.assertIn(words, output)

    def test_key_in_the_same_file(self):
        certificate = self.authority.leaf(*scene.EDGE)
        together = os.path.join(self.folder, "together.pem")
        with open(together, "w", encoding="ascii") as out:
            for path in (certificate.key, certificate.path):
                with open(path, encoding="ascii") as part:
                    out.write(part.read())
        os.chmod(together, 0o600)
        code, output = self.check(changes={"tls.federation": {"certificate": together, "certificate-key": None}})
        self.assertEqual(code, 0, output)

    def test_encrypted_key_is_refused_with_words(self):
        certificate = self.authority.leaf(*scene.EDGE)
        encrypted = os.path.join(self.folder, "encrypted.key")
        openssl("pkcs8", "-topk8", "-in", certificate.key, "-out", encrypted, "-passout", "pass:x")
        code, output = self.check(changes={"tls.federation": {"certificate-key": encrypted}})
        self.assertEqual(code, 2)
        self.assertIn("encrypted", output)

    def test_directory_of_authorities(self):
        folder = os.path.join(self.folder, "roots")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(self.authority.path, folder)
        code, output = self.check(changes={"tls.federation": {"trusted-ca": folder}})
        self.assertEqual(code, 0, output)

    def test_relative_paths_start_at_the_configuration(self):
        certificate = self.authority.leaf(*scene.EDGE)
        code, output = self.check(changes={"tls.federation": {
            "certificate": os.path.relpath(certificate.chain, self.folder),
            "certificate-key": os.path.relpath(certificate.key, self.folder),
            "trusted-ca": os.path.relpath(self.authority.path, self.folder)}})
        self.assertEqual(code, 0, output)

    def test_older_names_of_keys(self):
        certificate = self.authority.leaf(*scene.EDGE)
        config = self.usual_config()
        config["tls.federation"] = {"cert_file": certificate.chain, "priv_key_file": certificate.key,
                                    "ca_list_file": self.authority.path}
        code, output = self.check(text=edge_process.toml(config))
        self.assertEqual(code, 0, output)
        config["tls.federation"]["certificate"] = certificate.chain
        code, output = self.check(text=edge_process.toml(config))
        self.assertEqual(code, 1, output)

    def test_several_authorities_in_one_profile(self):
        both = os.path.join(self.folder, "both.pem")
        other = Authority(self.folder, "other-ca", "Other CA")
        with open(both, "w", encoding="ascii") as out:
            for path in (self.authority.path, other.path):
                with open(path, encoding="ascii") as one:
                    out.write(one.read())
        code, output = self.check(changes={"tls.federation": {"trusted-ca": both}})
        self.assertEqual(code, 1, output)
        self.assert_said(output, r"check\.toml:\d+:\d+: warning: tls\.federation: 2 CAs are trusted, and each of them "
                                 r"may vouch for every domain, also for edge\.example")

    def test_inside_listener_that_advertises_our_domain_by_default(self):
        outside, inside = self.usual_config()["listener"]
        address = inside["address"]
        del inside["advertise"]
        code, output = self.check(changes={"listener": [outside, inside]})
        self.assertEqual(code, 1, output)
        port = address.rsplit(":", 1)[1]
        self.assert_said(output, r'warning: listener "core" has no advertise, .* edge\.example:%s; ' % port)
        self.assertIn('write advertise = "%s", or' % address, output)
        for written in (address, "edge.example", "pbx-side.example:5070"):
            with self.subTest(advertise=written):
                code, output = self.check(changes={"listener": [outside, dict(inside, advertise=written)]})
                self.assertEqual(code, 0, output)

    def test_route_that_does_nothing(self):
        for route in ({"to": "*"}, {"user": "*"}, {"to": "*", "zone": "inside"}):
            with self.subTest(route=route):
                code, output = self.check(changes={"route": [route]})
                self.assertEqual(code, 1, output)
                self.assert_said(output, r"warning: route\[0\] does nothing: .*RFC 3263")

    def test_quote_that_is_not_closed(self):
        for text, line in (('[edge]\ndomain = "a\nadmin = ""\n', 2), ("[edge]\ndomain = 'a\nadmin = 5\n", 2),
                           ('[edge]\ndomains = ["a", "b\n]\n', 2), ('[edge]\n"domain = 5\n', 2),
                           ('[edge]\ndomain = "a', 2), ('[edge]\ndomain = """a\nadmin = 5\n', 3)):
            with self.subTest(text=text):
                code, output = self.check(text=text)
                self.assertEqual(code, 2, output)
                self.assert_said(output, r"check\.toml:%d:\d+: error: syntax: a quote .* not closed" % line)
        code, output = self.check(text='[edge]\ndomain = "a\x01b"\n')
        self.assertEqual(code, 2, output)
        self.assertNotIn("not closed", output)

    def test_json(self):
        for changes, code in (({}, 0), ({"edge": {"secret": None}}, 1), ({"limits": {"headers": 0}}, 2)):
            with self.subTest(code=code):
                was, output = self.check(changes=changes, json_output=True)
                self.assertEqual(was, code, output)
                json.loads(output)

    def test_injection_into_diagnostics(self):
        code, output = self.check(changes={"edge": {"domain": "a\nb\u001b[31m"}})
        self.assertEqual(code, 2)
        self.assertNotIn("\u001b", output)

    def test_run_refuses_what_check_refuses(self):
        path = os.path.join(self.folder, "bad.toml")
        with open(path, "w", encoding="utf-8") as out:
            out.write("[edge]\n")
        done = run("run", "--config", path)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"bad\.toml:\d+:\d+")


def forbid_io_uring():
    """Forbids io_uring_setup(2) to this process by seccomp(2); x86-64 and aarch64 number it alike."""
    load_number, jump_if, answer = 0x20, 0x15, 0x06
    program = b"".join(struct.pack("HBBI", *line) for line in (
        (load_number, 0, 0, 0), (jump_if, 0, 1, 425), (answer, 0, 0, 0x00050000 | 1), (answer, 0, 0, 0x7fff0000)))
    code = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxQ", 4, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, filters) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


class CommandLineTest(unittest.TestCase):

    def test_version(self):
        done = run("version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"sallyport \d+\.\d+\.\d+")
        self.assertRegex(done.stdout, r"wolfSSL 5\.\d+\.\d+")
        self.assertIn("io_uring", done.stdout)

    def test_version_of_a_flag(self):
        done = run("--version")
        self.assertEqual((done.returncode, done.stdout), (0, run("version").stdout.splitlines()[0] + "\n"))

    def test_bare_call_prints_the_usage(self):
        done = run()
        self.assertEqual(done.returncode, 2)
        for words in ("Usage: sallyport", "run", "check", "version"):
            self.assertIn(words, done.stderr)

    def test_io_uring_under_a_filter_names_a_file_that_exists(self):
        done = subprocess.run([edge_process.binary(), "version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=edge_process.environment(), text=True, preexec_fn=forbid_io_uring)
        self.assertIn("forbidden by a seccomp filter", done.stdout)
        (named,) = set(re.findall(r"[\w/.-]+\.json", done.stdout.replace("seccomp=", "")))
        root = os.path.join(os.path.dirname(__file__), "..", "..")
        with open(os.path.join(root, named), encoding="ascii") as profile:
            allowed = json.load(profile)["syscalls"][0]["names"]
        self.assertLessEqual({"io_uring_setup", "io_uring_enter", "io_uring_register"}, set(allowed))

    def test_wrong_usage(self):
        for arguments in ((), ("nonsense",), ("run",), ("check",), ("run", "--config")):
            with self.subTest(arguments=arguments):
                self.assertNotEqual(run(*arguments).returncode, 0)

    def test_help(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for command in ("run", "check", "version", "ca"):
            self.assertIn(command, done.stdout)


class CaTest(scene.SceneTest):
    """Certificates of `sallyport ca`, verified by openssl and used on a live edge."""

    @classmethod
    def prepare(cls):
        cls.home = os.path.join(cls.folder, "pki")
        cls.said = [run("ca", "init", cls.home, "--name", "Private CA"),
                    run("ca", "issue", cls.home, "edge", "--domain", "edge.example", "--dns", "sip.edge.example"),
                    run("ca", "issue", cls.home, "peer", "--domain", "a.example", "--domain", "c.example",
                        "--days", "30"),
                    run("ca", "issue", cls.home, "user", "--user", "sip:alice@a.example"),
                    run("ca", "issue", cls.home, "device", "--device", "00085D123456")]
        cls.issued = {name: Certificate(cls.home, name) for name in ("ca", "edge", "peer", "user", "device")}
        cls.config = {"tls.federation": {"certificate": cls.issued["edge"].path,
                                         "certificate-key": cls.issued["edge"].key,
                                         "trusted-ca": cls.issued["ca"].path}}

    def live(self, name, version=None):
        context = tls_client.context(self.issued["ca"], self.issued[name], version)
        client = tls_client.TlsClient(self.edge.port, context)
        self.addCleanup(client.close_quietly)
        return client

    def test_commands_said_what_they_wrote(self):
        for done in self.said:
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("wrote", done.stdout)

    def test_openssl_verifies_them(self):
        for name in ("edge", "peer", "user", "device"):
            for purpose in ("sslserver", "sslclient"):
                with self.subTest(name=name, purpose=purpose):
                    said = openssl("verify", "-x509_strict", "-CAfile", self.issued["ca"].path, "-purpose", purpose,
                                   self.issued[name].path)
                    self.assertIn(b": OK", said)

    def test_names(self):
        for name, wanted in (("edge", ["URI:sip:edge.example", "DNS:edge.example", "DNS:sip.edge.example"]),
                             ("peer", ["URI:sip:a.example", "DNS:a.example", "URI:sip:c.example", "DNS:c.example"]),
                             ("user", ["URI:sip:alice@a.example"])):
            shown = openssl("x509", "-in", self.issued[name].path, "-noout", "-ext", "subjectAltName").decode()
            with self.subTest(name=name):
                self.assertEqual(sorted(part.strip() for part in shown.splitlines()[1].split(",")), sorted(wanted))

    def test_keys_are_for_the_owner_only(self):
        for certificate in self.issued.values():
            self.assertEqual(stat.S_IMODE(os.stat(certificate.key).st_mode), 0o600)

    def test_they_serve(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                peer = self.live("peer", version)
                self.assertEqual(peer.exchange(request()).status, 200)
                self.assertEqual(peer.exchange(request(sender="<sip:x@c.example>;tag=1")).status, 200)
                self.assertEqual(peer.exchange(request(sender="<sip:x@b.example>;tag=1")).status, 403)
                user = self.live("user", version)
                self.assertEqual(user.exchange(request()).status, 200)
                self.assertEqual(user.exchange(request(sender="<sip:bob@a.example>;tag=1")).status, 403)
                self.assertEqual(self.live("device", version).exchange(request()).status, 403)

    def test_nothing_is_overwritten(self):
        before = {path: open(path, "rb").read() for certificate in self.issued.values()
                  for path in (certificate.path, certificate.key)}
        for arguments in (("init", self.home, "--name", "Again"),
                          ("issue", self.home, "peer", "--domain", "x.example")):
            with self.subTest(arguments=arguments):
                done = run("ca", *arguments)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr)
        for path, bytes_before in before.items():
            with open(path, "rb") as now:
                self.assertEqual(now.read(), bytes_before)

    def test_export(self):
        done = run("ca", "export", self.home)
        self.assertEqual(done.returncode, 0)
        with open(self.issued["ca"].path, encoding="ascii") as own:
            self.assertEqual(done.stdout.strip(), own.read().strip())

    def test_nonsense_is_refused(self):
        for arguments in (("--domain", "not a domain"), ("--domain", "*.a.example"), ("--user", "a.example"), (),
                          ("--domain", "a.example", "--days", "0"), ("--domain", "a.example", "--eku", "none")):
            with self.subTest(arguments=arguments):
                done = run("ca", "issue", self.home, "bad", *arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertFalse(os.path.exists(os.path.join(self.home, "bad.key")))
        for name in ("../escape", "a/b", "", "ca"):
            with self.subTest(name=name):
                self.assertNotEqual(run("ca", "issue", self.home, name, "--domain", "a.example").returncode, 0)

    def test_issuing_without_an_authority(self):
        with tempfile.TemporaryDirectory() as empty:
            done = run("ca", "issue", empty, "x", "--domain", "a.example")
            self.assertEqual(done.returncode, 2)
            self.assertIn(empty, done.stderr)


class PagesTest(scene.SceneTest):
    config = {"edge": {"admin-hosts": ["pages.example"]}}

    def test_live_and_ready(self):
        self.assertEqual(self.edge.page("/livez")[0], 200)
        self.assertEqual(self.edge.page("/readyz")[0], 200)
        self.assertEqual(self.edge.metrics().value("ready"), 1)

    def test_status_page(self):
        status, text = self.edge.page("/")
        self.assertEqual(status, 200)
        self.assertIn("edge.example", text)

    def test_unknown_pages_and_methods(self):
        self.assertEqual(self.edge.page("/nothing")[0], 404)
        self.assertEqual(self.edge.page("/../../etc/passwd")[0], 404)

    def test_metrics_are_well_formed(self):
        self.client().exchange(request(sender='<sip:x@b.example>;tag="\\"x"'))
        text = self.edge.metrics().text
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) |[a-z_]+(\{[^}]*\})? [-+0-9.eE]+$)")
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.assertEqual((done.returncode, done.stdout.strip()), (0, ""), done.stdout)

    def test_no_label_names_a_caller(self):
        client = self.client()
        wanted = request("MESSAGE", sender="<sip:secret-user@a.example>;tag=1")
        client.exchange(wanted)
        client.exchange(request("SECRET-METHOD", sender="<sip:secret-user@b.example>;tag=1"))
        text = self.edge.metrics().text
        for hidden in (wanted.call_id, "secret-user", "a.example", "b.example", "SECRET-METHOD"):
            self.assertNotIn(hidden, text)

    def test_pages_answer_beside_slow_clients(self):
        slow = [socket.create_connection(("127.0.0.1", self.edge.admin_port)) for _ in range(64)]
        for one in slow:
            self.addCleanup(one.close)
            one.sendall(b"GET /livez HTTP/1.1\r\nHos")
        for path in ("/livez", "/metrics", "/readyz", "/"):
            start = time.monotonic()
            self.assertEqual(self.edge.page(path)[0], 200)
            self.assertLess(time.monotonic() - start, 1.0, path)
            for one in slow[:32]:
                one.sendall(b"t")
        self.edge.wait_metric("admin_connections_dropped_total", lambda value: value >= 64, reason="slow")

    def test_another_host_reads_nothing(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for host, status in (("127.0.0.1", 200), ("localhost:9090", 200), ("pages.example", 200),
                             ("rebound.example", 421), ("127.0.0.1.rebound.example", 421)):
            with self.subTest(host=host):
                asked = urllib.request.Request("http://127.0.0.1:%d/metrics" % self.edge.admin_port,
                                               headers={"Host": host})
                try:
                    with opener.open(asked, timeout=5.0) as answer:
                        seen = answer.status
                except urllib.error.HTTPError as error:
                    seen = error.code
                    self.assertNotIn(b"sallyport_", error.read())
                self.assertEqual(seen, status)

    def test_every_reason_is_there_from_the_start(self):
        metrics = self.edge.metrics()
        reasons = {labels["reason"] for name, labels, _ in metrics.series
                   if name == "sallyport_requests_rejected_total"}
        for reason in ("from-not-covered", "no-identity", "from-malformed", "malformed", "framing", "too-large",
                       "version", "uri-scheme", "max-forwards", "loop", "proxy-require", "relay", "sips", "overload",
                       "limit", "next-hop-unreachable", "timeout"):
            self.assertIn(reason, reasons)
        for name in ("build_info", "process_start_time_seconds", "process_cpu_seconds_total", "connections_active",
                     "tls_handshakes_total", "sip_requests_total", "identity_checks_total", "ready", "draining",
                     "tls_server_certificate_not_after_timestamp_seconds", "config_last_reload_successful"):
            self.assertTrue(metrics.has(name), name)


class LogTest(scene.SceneTest):
    config = {"log": {"format": "json"}}

    def refusals(self, **fields):
        return [event for event in self.edge.events()
                if event.get("reason") and all(event.get(k) == v for k, v in fields.items())]

    def wait_refusals(self, enough, **fields):
        deadline = time.monotonic() + 10.0
        while True:
            found = self.refusals(**fields)
            if enough(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def test_one_line_per_refusal_with_its_reason(self):
        client = self.client("URI:sip:a.example", "URI:sip:logged.example")
        for wanted, reason in ((request(sender="<sip:x@b.example>;tag=1"), "from-not-covered"),
                               (request(uri="sip:x@elsewhere.example"), "relay"),
                               (request(max_forwards="0"), "max-forwards"),
                               (request(omit=("to",)), "malformed")):
            with self.subTest(reason=reason):
                before = len(self.refusals(reason=reason))
                client.exchange(wanted)
                found = self.wait_refusals(lambda found: len(found) > before, reason=reason)
                self.assertEqual(len(found), before + 1)
                self.assertIn("time", found[-1])
                self.assertIn(found[-1]["level"], ("info", "warning"))

    def test_a_relay_is_told_with_the_domain_that_is_not_ours(self):
        client = self.client()
        client.exchange(request(uri="sip:x@p1.example"))
        (found,) = self.wait_refusals(len, reason="relay", cause="relay: p1.example is not one of domains")
        self.assertEqual(found["status"], 403)

    def test_a_route_error_is_no_bad_request(self):
        client = self.client()
        answer = client.exchange(request(headers=["Route: sip:no-brackets.example"]))
        self.assertEqual((answer.status, answer.reason), (400, "Malformed Route Header"))
        self.wait_refusals(len, message="Malformed Route Header")
        self.assertEqual(self.refusals(reason="malformed", message="Bad Request"), [])

    def test_a_full_disk_costs_whole_lines_and_says_so(self):
        edge = self.another_edge({"log": {"format": "json", "level": "debug"}})
        size = os.path.getsize(edge.log_path)
        before = resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE, (size + 100, before[1]))
        client = self.client(edge=edge)
        for _ in range(5):
            client.exchange(request(sender="<sip:x@b.example>;tag=1"))
        edge.wait_metric("log_records_dropped_total", lambda value: value >= 5)
        edge.events()  # Each line is whole.
        resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE, before)
        deadline = time.monotonic() + 10.0
        while "log-resumed" not in edge.log() and time.monotonic() < deadline:
            time.sleep(0.02)
        (resumed,) = [event for event in edge.events() if event["event"] == "log-resumed"]
        self.assertGreaterEqual(resumed["lost"], 5)
        self.assertEqual(resumed["cause"], "File too large")

    def test_storm_of_refusals_is_rate_limited_and_says_so(self):
        client = self.client("URI:sip:storm.example")
        count = 600
        data = b"".join(request(sender="<sip:x@b.example>;tag=1").bytes for _ in range(count))
        before = len(self.edge.log_lines())
        client.send(data)
        for _ in range(count):
            self.assertEqual(client.receive_final().status, 403)
        time.sleep(1.1)  # The limit is one of lines per second; the next second tells what was held back.
        client.exchange(request(sender="<sip:x@b.example>;tag=1"))
        found = self.wait_refusals(lambda found: any(event.get("suppressed") for event in found),
                                   reason="from-not-covered")
        self.assertTrue(any(event.get("suppressed", 0) > 100 for event in found), found[-3:])
        self.assertLess(len(self.edge.log_lines()) - before, 100)
        self.edge.wait_metric("log_records_suppressed_total", lambda value: value > 100)

    def test_nothing_of_a_message_forges_a_line(self):
        client = self.client()
        evil = ['"x\\\r\n {\\"level\\":\\"error\\",\\"event\\":\\"forged\\"}" <sip:a@b.example>;tag=1',
                '"\u2028\u202e\x7f" <sip:a@b.example>;tag=1', '<sip:forged%0d%0aevent@b.example>;tag=1',
                '<sip:%22%7d@b.example>;tag=1']
        for sender in evil:
            client.exchange(request(sender=sender))
        for line in (b"X: \x1b[31m", b"Subject: {\"event\":\"forged\"}"):
            client = self.client()
            try:
                client.exchange(request(headers=[line], max_forwards="0"))
            except tls_client.Closed:
                pass
        # Certificate names are the peer's bytes too.
        strange = self.client("CN=forged\\n{\"event\":\"forged\"}", "DNS:b.example")
        strange.exchange(request())
        time.sleep(0.3)
        for event in self.edge.events():
            self.assertNotEqual(event.get("event"), "forged")
        for line in self.edge.log_lines():
            self.assertNotIn("\x1b", line)

    def test_no_secret_and_no_message_in_the_log(self):
        client = self.client()
        client.exchange(request(sender="<sip:x@b.example>;tag=1", headers=["Authorization: Digest response=\"s3cret\""],
                                body=b"private body"))
        time.sleep(0.2)
        with open(self.edge.config["edge"]["secret"][5:], encoding="ascii") as secret:
            hidden = secret.read().strip()
        log = self.edge.log()
        for words in (hidden, "s3cret", "private body"):
            self.assertNotIn(words, log)

    def test_start_and_stop_are_told(self):
        edge = self.another_edge({"log": {"format": "json"}})
        edge.terminate()
        self.assertEqual(edge.wait_exit(), 0)
        events = edge.events()
        self.assertGreaterEqual(len(events), 2)
        self.assertFalse([event for event in events if event["level"] == "error"])


class TextLogTest(scene.SceneTest):
    config = {"log": {"format": "text", "level": "debug"}}

    def test_text_lines(self):
        self.client().exchange(request(sender="<sip:x@b.example>;tag=1"))
        deadline = time.monotonic() + 5.0
        while "from-not-covered" not in self.edge.log() and time.monotonic() < deadline:
            time.sleep(0.05)
        for line in self.edge.log_lines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
        self.assertIn("reason=from-not-covered", self.edge.log())


if __name__ == "__main__":
    scene.main()
