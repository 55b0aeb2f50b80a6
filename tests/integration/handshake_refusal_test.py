"""Certificates that must not become a session, in TLS 1.2 and 1.3: no byte of SIP is answered, the cause is counted."""
import socket
import ssl
import subprocess
import time

from harness import scene, tls_client
from harness.certificates import Authority, self_signed
from harness.command_line_client import CommandLineClient, s_client
from harness.messages import request

VERSIONS = ("1.2", "1.3")


class HandshakeRefusalTest(scene.SceneTest):

    @classmethod
    def prepare(cls):
        cls.stranger = Authority(cls.folder, "stranger", "Stranger CA")
        cls.clone = Authority(cls.folder, "clone", "Test CA", key_identifier=cls.authority.subject_key_identifier())
        cls.intermediate = Authority(cls.folder, "middle", "Middle CA", parent=cls.authority)
        cls.foreign_intermediate = Authority(cls.folder, "foreign", "Middle CA", parent=cls.stranger)

    def refuse(self, certificate, reasons):
        """No session for Python's client and for s_client, in both versions, and one of `reasons` is counted."""
        for version in VERSIONS:
            with self.subTest(version=version):
                before = self.failures(reasons)
                wanted = request()
                tls_client.refused(self.edge.port, tls_client.context(self.authority, certificate, version),
                                   wanted.bytes)
                self.edge.wait_metric("tls_handshake_failures_total", lambda _: self.failures(reasons) == before + 1,
                                      timeout=5.0)
                with s_client(self.edge.port, self.authority, certificate, version) as client:
                    client.send(wanted)
                    output = client.wait_end()
                self.assertNotIn(b"SIP/2.0 ", output)
                self.assertEqual(self.hop.seen(wanted.call_id), [])
        self.assertEqual(self.client().exchange(request()).status, 200, "others are served as before")

    def failures(self, reasons):
        metrics = self.edge.metrics()
        return sum(metrics.value("tls_handshake_failures_total", reason=reason) for reason in reasons)

    def test_no_certificate(self):
        self.refuse(None, ["no_cert"])

    def test_untrusted_authority(self):
        self.refuse(self.stranger.leaf(scene.DOMAIN), ["untrusted_ca"])

    def test_authority_of_the_same_name_and_key_identifier_with_another_key(self):
        # CVE-2026-93302. After a good peer was verified, and then with the clone itself in the chain.
        self.assertEqual(self.client().exchange(request()).status, 200)
        leaf = self.clone.leaf(scene.DOMAIN)
        self.refuse(leaf, ["untrusted_ca", "signature"])  # OpenSSL sends the true authority with it.
        self.refuse(self.clone.with_root(leaf), ["untrusted_ca", "signature"])

    def test_leaf_used_as_an_authority(self):
        innocent = self.authority.leaf("URI:sip:b.example")
        self.refuse(self.authority.leaf(scene.DOMAIN, issuer=innocent), ["untrusted_ca", "signature"])

    def test_expired(self):
        self.refuse(self.authority.leaf(scene.DOMAIN, not_before="20200101000000Z", not_after="20210101000000Z"),
                    ["expired"])

    def test_not_yet_valid(self):
        self.refuse(self.authority.leaf(scene.DOMAIN, not_before="20480101000000Z", not_after="20490101000000Z"),
                    ["not_yet_valid"])

    def test_self_signed(self):
        self.refuse(self_signed(self.folder, "self", scene.DOMAIN), ["untrusted_ca"])

    def test_certificate_that_is_too_large(self):
        names = ["DNS:host%d.some.a.example" % n for n in range(900)]
        self.refuse(self.authority.leaf(scene.DOMAIN, *names), ["too_large"])
        told = [event for event in self.edge.events() if event.get("reason") == "too_large"]
        self.assertTrue(told)
        self.assertIn("too large", told[0]["message"])

    def test_purpose_that_is_no_client(self):
        # RFC 5924 §4 and the profile's eku = "tls": neither clientAuth, nor sipDomain, nor any. IB-certificate-30.
        for purpose in ("serverAuth", "codeSigning,emailProtection"):
            with self.subTest(purpose=purpose):
                self.refuse(self.authority.leaf(scene.DOMAIN, eku=purpose), ["key_usage"])

    def test_foreign_intermediate_of_the_same_name(self):
        self.refuse(self.foreign_intermediate.leaf(scene.DOMAIN), ["untrusted_ca", "signature"])

    def test_intermediate_is_served_with_its_chain_and_not_without(self):
        leaf = self.intermediate.leaf("URI:sip:a.example", "URI:sip:m.example")
        for version in VERSIONS:
            context = tls_client.context(self.authority, leaf, version)
            with tls_client.TlsClient(self.edge.port, context) as client:
                self.assertEqual(client.exchange(request()).status, 200)
        alone = type("Alone", (), {"chain": leaf.path, "path": leaf.path, "key": leaf.key})
        # Somebody else's chain must not have taught the edge this intermediate; its revocation would be missed.
        for version in VERSIONS:
            with self.subTest(version=version):
                context = tls_client.context(self.authority, alone, version)
                tls_client.refused(self.edge.port, context, request().bytes)

    def test_certificate_without_its_key(self):
        # A stolen certificate: the proof of possession fails. Python refuses to load such a pair, s_client does too,
        # so the key is of the same type and only the signature is wrong: nothing to show but the load error.
        leaf, other = self.authority.leaf(scene.DOMAIN), self.authority.leaf("URI:sip:b.example")
        with self.assertRaises(ssl.SSLError):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(leaf.path, other.key)


class ProtocolTest(scene.SceneTest):
    """Versions, renegotiation, garbage, and the certificate that we show."""

    def test_old_versions_are_refused(self):
        # RFC 8996. OpenSSL itself needs security level 0 to even try.
        for option in ("-tls1", "-tls1_1"):
            with self.subTest(option=option):
                done = subprocess.run(
                    ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.edge.port, option, "-cipher",
                     "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(b"Cipher is (NONE)", done.stdout)

    def test_weak_suites_are_refused(self):
        certificate = self.authority.leaf(scene.DOMAIN)
        for suites in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL-SHA256:@SECLEVEL=0"):
            with self.subTest(suites=suites):
                context = tls_client.context(self.authority, certificate, "1.2")
                try:
                    context.set_ciphers(suites)
                except ssl.SSLError:
                    continue
                tls_client.refused(self.edge.port, context, request().bytes)

    def test_renegotiation_is_refused(self):
        certificate = self.authority.leaf(scene.DOMAIN)
        arguments = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.edge.port, "-tls1_2", "-CAfile",
                     self.authority.path, "-cert", certificate.path, "-key", certificate.key]
        done = subprocess.run(arguments, input=b"R\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        # s_client says so when it begins; a second "verify return:1" would show that it got through.
        self.assertLessEqual(done.stdout.count(b"verify return:1"), 2, done.stdout.decode(errors="replace"))
        self.assertEqual(self.client().exchange(request()).status, 200)

    def answer_to(self, data, pause):
        """What comes back on a bare TCP connection."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.edge.port), timeout=20.0) as connection:
            try:
                connection.sendall(data)
                time.sleep(pause)
                connection.shutdown(socket.SHUT_WR)
                while True:
                    more = connection.recv(65536)
                    if not more:
                        break
                    answer += more
            except OSError as error:
                self.assertNotIsInstance(error, TimeoutError)
        return answer

    def test_garbage_instead_of_a_client_hello(self):
        for data in (b"OPTIONS sip:edge.example SIP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff",
                     b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b"\x80" * 300, b"\x00" * 300, b"\xff" * 20000):
            for pause in (0.0, 0.05):  # The FIN together with the data, and when the data has been looked at.
                with self.subTest(data=data[:20], pause=pause):
                    started = time.monotonic()
                    self.assertNotIn(b"SIP/2.0", self.answer_to(data, pause))
                    self.assertLess(time.monotonic() - started, 5.0, "the FIN ends the connection, no deadline")
        self.assertEqual(self.client().exchange(request()).status, 200)

    def test_empty_inner_plaintext_after_the_server_hello(self):
        # CVE-2024-0901: a protected TLS 1.3 record that holds nothing but a tag, sent before our Finished.
        for length in (0, 1, 16, 17, 255):
            with self.subTest(length=length):
                client = tls_client.TlsClient(self.edge.port, self.context(version="1.3"), handshake=False)
                try:
                    client.socket.sendall(client.client_hello())
                    client.socket.recv(1)  # The ServerHello is under way.
                    client.socket.sendall(b"\x17\x03\x03" + length.to_bytes(2, "big") + b"\x00" * length)
                    client.socket.shutdown(socket.SHUT_WR)
                    while client.socket.recv(65536):
                        pass
                except ConnectionError:
                    pass
                finally:
                    client.socket.close()
        self.assertTrue(self.edge.is_alive())
        self.assertEqual(self.client().exchange(request()).status, 200)

    def test_broken_record_on_an_open_session_ends_it(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.client(version=version)
                self.assertEqual(client.exchange(request()).status, 200)
                wanted = request()
                record = bytearray(client.sealed(wanted.bytes))
                record[-1] ^= 1
                client.send_ciphertext(bytes(record))
                self.assertEqual(client.wait_closed(), [])
                self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_handshake_in_single_bytes(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                client = tls_client.TlsClient(self.edge.port, self.context(version=version), handshake=False)
                client.handshake(one_byte_at_a_time=True)
                self.assertEqual(client.exchange(request()).status, 200)
                client.close()

    def test_client_that_leaves_at_every_step(self):
        for version in VERSIONS:
            context = self.context(version=version)
            for sent in (0, 1, 5, 50, 200):
                client = tls_client.TlsClient(self.edge.port, context, handshake=False)
                client.socket.sendall(client.client_hello()[:sent])
                (client.reset if sent % 2 else client.close_without_notify)()
        self.edge.wait_metric("connections_active", 0)
        self.edge.wait_metric("tls_handshakes_in_progress", 0)
        self.assertEqual(self.client().exchange(request()).status, 200)

    def test_key_update_is_followed(self):
        # TLS 1.3 only; s_client sends one on the line "K" (and asks for ours).
        certificate = self.authority.leaf(scene.DOMAIN)
        arguments = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.edge.port, "-tls1_3", "-CAfile",
                     self.authority.path, "-cert", certificate.path, "-key", certificate.key]
        with CommandLineClient(arguments) as client:
            self.assertIsNotNone(client.wait_for(rb"Verify return code: 0"), client.output)
            client.send(b"K\n")
            self.assertIsNotNone(client.wait_for(rb"KEYUPDATE"), client.output)
            client.send(request("OPTIONS"))
            self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK"), client.output)

    def test_own_certificate_comes_with_its_chain(self):
        middle = Authority(self.folder, "server-middle", "Server Middle CA", parent=self.authority)
        edge = self.another_edge({"tls.federation": {"certificate": middle.leaf(*scene.EDGE).chain,
                                                 "certificate-key": middle.leaf(*scene.EDGE).key}})
        self.assertEqual(self.client(edge=edge).exchange(request()).status, 200)

    def test_rsa_and_ed25519_server_keys_serve_ecdsa_clients(self):
        # And the reverse is in identity_policy: wolfSSL 5.5 offered only the server's own key type in TLS 1.2.
        for key in ("rsa", "ed25519"):
            leaf = self.authority.leaf(*scene.EDGE, key=key)
            edge = self.another_edge({"tls.federation": {"certificate": leaf.chain, "certificate-key": leaf.key}})
            for version in VERSIONS:
                with self.subTest(key=key, version=version):
                    self.assertEqual(self.client(edge=edge, version=version).exchange(request()).status, 200)

    def test_pinned_version(self):
        for option, offered, other in (("TLSv12", "1.2", "1.3"), ("TLSv13", "1.3", "1.2")):
            edge = self.another_edge({"tls.federation": {"sec-protocol": option}})
            with self.subTest(option=option):
                self.assertEqual(self.client(edge=edge).version, "TLSv" + offered)
                tls_client.refused(edge.port, self.context(version=other), request().bytes)

    def test_suites_that_were_chosen(self):
        edge = self.another_edge({"tls.federation": {"cipher-list": "ECDHE-ECDSA-AES256-GCM-SHA384",
                                                 "ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}})
        self.assertEqual(self.client(edge=edge, version="1.2").tls.cipher()[0], "ECDHE-ECDSA-AES256-GCM-SHA384")
        self.assertEqual(self.client(edge=edge, version="1.3").tls.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")
        context = self.context(version="1.2")
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        tls_client.refused(edge.port, context, request().bytes)


if __name__ == "__main__":
    scene.main()
