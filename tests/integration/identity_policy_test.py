"""Who may say what: the verdict for each kind of certificate, and what happens to identity headers."""
import socket

from harness import scene, tls_client
from harness.certificates import SIP_DOMAIN, Authority, general_names
from harness.messages import request

ALICE, BOB = "<sip:alice@a.example>;tag=1", "<sip:bob@b.example>;tag=1"
COVERED, NOT_COVERED = 200, 403

# Certificate identities -> {From: verdict}. IB-certificate-nn: rows of tests/corpus/identity-bypass.tsv.
VERDICTS = [
    (("URI:sip:a.example",), {
        ALICE: COVERED,
        "<sip:anybody@a.example>;tag=1": COVERED,
        "<sip:alice:secret@a.example>;tag=1": COVERED,
        "<sip:a.example>;tag=1": COVERED,
        "<sip:alice@A.EXAMPLE>;tag=1": COVERED,
        BOB: NOT_COVERED,
        "<sip:alice@sub.a.example>;tag=1": NOT_COVERED,
        "<sip:alice@example>;tag=1": NOT_COVERED,
        "<sip:alice@xa.example>;tag=1": NOT_COVERED}),
    (("URI:SIP:A.Example",), {ALICE: COVERED, BOB: NOT_COVERED}),
    (("URI:sip:a.example;transport=tls",), {ALICE: COVERED}),
    (("DNS:a.example",), {ALICE: COVERED, BOB: NOT_COVERED}),
    (("URI:sip:a.example", "DNS:b.example"), {ALICE: COVERED, BOB: NOT_COVERED}),             # IB-certificate-01
    (("URI:sip:a.example", "URI:sip:c.example"), {                                            # IB-certificate-02, -03
        ALICE: COVERED, "<sip:alice@c.example>;tag=1": COVERED, BOB: NOT_COVERED}),
    (("URI:sip:alice@a.example",), {
        ALICE: COVERED,
        "<sip:%61lice@a.example>;tag=1": COVERED,
        "<sip:bob@a.example>;tag=1": NOT_COVERED,
        "<sip:ALICE@a.example>;tag=1": NOT_COVERED,
        "<sip:alice:secret@a.example>;tag=1": NOT_COVERED,
        "<sip:alice:@a.example>;tag=1": NOT_COVERED,
        "<sip:a.example>;tag=1": NOT_COVERED,
        "<sip:alice@b.example>;tag=1": NOT_COVERED}),
    (("URI:sip:alice@a.example", "DNS:a.example"), {"<sip:bob@a.example>;tag=1": COVERED}),   # IB-certificate-05
    (("URI:sip:b.example@a.example",), {ALICE: NOT_COVERED, "<sip:bob@a.example>;tag=1": NOT_COVERED}),  # -06, -07
    (("URI:sips:a.example",), {ALICE: NOT_COVERED}),                                          # IB-certificate-08
    (("URI:http://a.example",), {ALICE: NOT_COVERED}),
    (("URI:sip:a.example;x=b.example",), {BOB: NOT_COVERED}),                                 # IB-certificate-12
    (("URI:sip:a%2eexample",), {ALICE: NOT_COVERED}),                                         # IB-certificate-13
    (("URI:sip:*.a.example",), {"<sip:alice@sub.a.example>;tag=1": NOT_COVERED}),             # IB-certificate-14
    (("DNS:*.a.example",), {ALICE: NOT_COVERED, "<sip:alice@sub.a.example>;tag=1": NOT_COVERED}),
    (("DNS:foo*.example",), {"<sip:alice@fooa.example>;tag=1": NOT_COVERED}),                 # IB-certificate-24
    (("CN=a.example",), {ALICE: COVERED, BOB: NOT_COVERED}),
    (("CN=b.example", "DNS:a.example"), {ALICE: COVERED, BOB: NOT_COVERED}),                  # IB-certificate-18
    (("CN=b.example", "CN=a.example"), {ALICE: COVERED, BOB: NOT_COVERED}),                   # IB-certificate-25
    (("CN=sip:a.example",), {ALICE: NOT_COVERED}),                                            # IB-certificate-26
    (("O=a.example", "CN=x"), {ALICE: NOT_COVERED}),                                          # IB-certificate-27
    (("email:alice@a.example",), {ALICE: NOT_COVERED}),
    (("IP:192.0.2.1",), {"<sip:alice@192.0.2.1>;tag=1": NOT_COVERED, ALICE: NOT_COVERED}),
]


class VerdictTest(scene.SceneTest):

    def check(self, client, sender, verdict):
        wanted = request(sender=sender)
        with self.rejected("from-not-covered", 1 if verdict == NOT_COVERED else 0):
            answer = client.exchange(wanted)
        self.assertEqual(answer.status, verdict, answer.raw)
        if verdict == NOT_COVERED:
            self.assert_refused(answer, 403, "From Not Covered By Certificate")
        self.assertEqual(len(self.hop.seen(wanted.call_id)), 1 if verdict == COVERED else 0)

    def test_every_certificate_and_from_in_both_versions(self):
        for identities, verdicts in VERDICTS:
            for version in ("1.2", "1.3"):
                client = self.client(*identities, version=version)
                for sender, verdict in verdicts.items():
                    with self.subTest(identities=identities, sender=sender, version=version):
                        self.check(client, sender, verdict)

    def test_from_without_a_domain(self):
        client = self.client()
        for sender in ("<tel:+15551234567>;tag=1", "<sip:alice@192.0.2.1>;tag=1", "<sip:alice@[2001:db8::1]>;tag=1",
                       "<sip:anonymous@anonymous.invalid>;tag=1", "<mailto:alice@a.example>;tag=1"):
            with self.subTest(sender=sender):
                self.check(client, sender, NOT_COVERED)

    def test_names_with_nul_cover_nothing(self):
        # IB-certificate-19: either no session (the certificate is malformed) or no identity.
        certificate = self.authority.leaf("CN=nul", san_der=general_names((0x82, b"a.example\0.evil.test")))
        context = tls_client.context(self.authority, certificate)
        try:
            client = tls_client.TlsClient(self.edge.port, context)
        except tls_client.Closed:
            return
        with client:
            try:
                self.assertEqual(client.exchange(request()).status, 403)
            except tls_client.Closed as closed:
                self.assertIsNotNone(closed)

    def test_leading_space_in_a_name_covers_nothing(self):
        certificate = self.authority.leaf("CN=space", san_der=general_names((0x82, b" a.example")))  # IB-certificate-22
        with tls_client.TlsClient(self.edge.port, tls_client.context(self.authority, certificate)) as client:
            self.check(client, ALICE, NOT_COVERED)

    def test_sip_domain_purpose_is_accepted(self):
        for purpose in (SIP_DOMAIN, "clientAuth," + SIP_DOMAIN, "anyExtendedKeyUsage", None):  # IB-certificate-31
            with self.subTest(purpose=purpose):
                certificate = self.authority.leaf(scene.DOMAIN, eku=purpose)
                with tls_client.TlsClient(self.edge.port, tls_client.context(self.authority, certificate)) as client:
                    self.check(client, ALICE, COVERED)

    def test_key_types_are_all_served(self):
        for key in ("rsa", "ecdsa", "ecdsa-p384", "ed25519"):
            for version in ("1.2", "1.3"):
                with self.subTest(key=key, version=version):
                    context = tls_client.context(self.authority, self.authority.leaf(scene.DOMAIN, key=key), version)
                    with tls_client.TlsClient(self.edge.port, context) as client:
                        self.check(client, ALICE, COVERED)

    def test_a_refusal_does_not_colour_the_next_request(self):
        client = self.client()
        for _ in range(3):
            self.check(client, BOB, NOT_COVERED)
            self.check(client, ALICE, COVERED)

    def test_every_method_is_judged(self):
        client = self.client()
        for method in ("INVITE", "OPTIONS", "BYE", "CANCEL", "SUBSCRIBE", "REGISTER", "PRACK", "UPDATE", "X-NEW"):
            with self.subTest(method=method):
                wanted = request(method, sender=BOB)
                with self.rejected("from-not-covered"):
                    self.assert_refused(client.exchange(wanted), 403)
                self.assert_never_forwarded(client, wanted)

    def test_registering_for_somebody_else(self):
        # RFC 3261 §10.3: the To of a REGISTER is the address-of-record.
        client = self.client()
        wanted = request("REGISTER", uri="sip:edge.example", to="<sip:bob@b.example>")
        with self.rejected("register-for-another"):
            self.assert_refused(client.exchange(wanted), 403, "Registration For Another")
        self.assert_never_forwarded(client, wanted)
        self.assertEqual(client.exchange(request("REGISTER", to="<sip:carol@a.example>")).status, 200)

    def test_referred_by(self):
        # RFC 3892; on REFER only.
        client = self.client()
        target = "Refer-To: <sip:carol@edge.example>"
        for line, reason, status, phrase in (
                ("Referred-By: <sip:bob@b.example>", "referred-by-not-covered", 403, None),
                ("b: <sip:bob@b.example>", "referred-by-not-covered", 403, None),
                ("Referred-By: <sip:bob", "referred-by-malformed", 400, "Malformed Referred-By Header")):
            with self.subTest(line=line):
                wanted = request("REFER", headers=[target, line])
                with self.rejected(reason):
                    self.assert_refused(client.exchange(wanted), status, phrase)
                self.assertEqual(self.hop.seen(wanted.call_id), [])
        good = request("REFER", headers=[target, "Referred-By: <sip:alice@a.example>"])
        self.assertEqual(client.exchange(good).status, 200)
        self.assertEqual(client.exchange(request(headers=["Referred-By: <sip:bob@b.example>"])).status, 200)

    def test_checks_are_counted(self):
        client = self.client()
        with self.counted("identity_checks_total", 1, result="pass"), \
                self.counted("identity_checks_total", 1, result="mismatch"):
            client.exchange(request())
            client.exchange(request(sender=BOB))

    def test_two_peers_keep_their_own_identity(self):
        first, second = self.client(), self.client("URI:sip:b.example")
        for client, covered, foreign in ((first, ALICE, BOB), (second, BOB, ALICE)) * 3:
            self.check(client, covered, COVERED)
            self.check(client, foreign, NOT_COVERED)


class ProfileOptionsTest(scene.SceneTest):
    """cn-identity and use-email-as-sip change what a certificate proves."""

    config = {"tls.federation": {"cn-identity": False, "use-email-as-sip": True}}

    def test_common_name_proves_nothing(self):
        self.assert_refused(self.client("CN=a.example").exchange(request()), 403, "From Not Covered By Certificate")

    def test_mail_address_is_a_user(self):
        client = self.client("email:alice@a.example")
        self.assertEqual(client.exchange(request()).status, 200)
        self.assert_refused(client.exchange(request(sender="<sip:bob@a.example>;tag=1")), 403)


class ClientCertificateModeTest(scene.SceneTest):
    """optional: a certificate that is sent must pass every check, and without one there is no identity."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"].insert(1, cls.outside("optional", **{"client-certificate": "optional"}))
        return config

    def test_no_certificate_is_no_identity(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                context = tls_client.context(self.authority, version=version)
                with tls_client.TlsClient(self.edge.listener_port("optional"), context) as client:
                    wanted = request()
                    with self.rejected("no-identity"):
                        self.assert_refused(client.exchange(wanted), 403, "Mutual TLS Required")
                    self.assertEqual(client.exchange(request()).status, 403, "the connection stays open")
                    self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_certificate_is_judged_as_elsewhere(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                client = self.client(port=self.edge.listener_port("optional"), version=version)
                self.assertEqual(client.exchange(request()).status, 200)
                self.assert_refused(client.exchange(request(sender=BOB)), 403, "From Not Covered By Certificate")

    def test_bad_certificate_is_refused_even_where_none_is_needed(self):
        stranger = Authority(self.folder, "stranger", "Stranger CA")
        for version in ("1.2", "1.3"):
            with self.subTest(version=version):
                context = tls_client.context(self.authority, stranger.leaf(scene.DOMAIN), version)
                tls_client.refused(self.edge.listener_port("optional"), context, request().bytes)

    def test_ping_without_identity_is_answered(self):
        context = tls_client.context(self.authority)
        with tls_client.TlsClient(self.edge.listener_port("optional"), context) as client:
            client.send(b"\r\n\r\n")
            client.receive_keep_alive()


class PlainListenerTest(scene.SceneTest):
    """Outside, TCP proves nothing, so nothing is accepted there."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"].insert(1, cls.outside("plain-tcp", transport="tcp"))
        return config

    def test_everything_is_refused(self):
        wanted = request(via="SIP/2.0/TCP client.a.example;branch=z9hG4bKplain")
        with socket.create_connection(("127.0.0.1", self.edge.listener_port("plain-tcp")), timeout=20.0) as connection:
            with self.rejected("no-identity"):
                connection.sendall(wanted.bytes)
                answer = connection.recv(65536)
        self.assertRegex(answer, rb"^SIP/2\.0 403 Mutual TLS Required\r\n")
        self.assertEqual(self.hop.seen(wanted.call_id), [])


OUR_OWN = ("X-Sallyport-Peer", "X-Sallyport-Identity", "x-sallyport-anything-at-all")
SMUGGLED = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID") + OUR_OWN
SPELLINGS = [
    lambda name: ["%s: <sip:bob@b.example>" % name],
    lambda name: ["%s : <sip:bob@b.example>" % name],
    lambda name: ["%s\t:<sip:bob@b.example>" % name],
    lambda name: ["%s \t : <sip:bob@b.example>" % name],
    lambda name: ["%s:\r\n <sip:bob@b.example>" % name],
    lambda name: ["%s:\r\n\t<sip:bob@b.example>\r\n ;x=y" % name],
    lambda name: ["%s: <sip:bob@b.example>" % name.upper()],
    lambda name: ["%s: <sip:bob@b.example>" % name.lower()],
    lambda name: ["%s: <sip:bob@b.example>" % name.swapcase()],
    lambda name: ["%s: <sip:bob@b.example>, <tel:+15550000>" % name],
    lambda name: ["%s: <sip:bob@b.example>" % name, "X-Between: 1", "%s: <tel:+15550000>" % name],
    lambda name: ["%s:" % name],
    lambda name: ["%s: <sip:alice@a.example>" % name],
]


class IdentityHeaders:
    """Run below for each mode of [identity-header]."""

    mode = None
    asserted = None  # The header that the edge writes.

    def forwarded(self, client, wanted):
        self.assertEqual(client.exchange(wanted).status, 200)
        return self.hop.seen(wanted.call_id)[0]

    def expected(self, uri):
        return ["<%s>" % uri] if self.asserted else []

    def check(self, seen, uri="sip:alice@a.example"):
        for name in SMUGGLED:
            wanted = self.expected(uri) if self.asserted and name.lower() == self.asserted else []
            self.assertEqual(seen.all(name), wanted, seen.raw)
        lowered = seen.raw.lower()
        for hidden in (b"bob@b.example", b"15550000"):
            self.assertNotIn(hidden, lowered)

    def test_smuggled_headers_are_removed_in_every_spelling(self):
        client = self.client()
        for name in SMUGGLED:
            for number, spelling in enumerate(SPELLINGS):
                with self.subTest(name=name, spelling=number):
                    wanted = request(headers=spelling(name) + ["X-After: kept"])
                    seen = self.forwarded(client, wanted)
                    self.check(seen)
                    self.assertEqual(seen.all("x-after"), ["kept"])

    def test_removal_at_the_edges_of_the_header(self):
        client = self.client()
        wanted = request()
        first = wanted.bytes.replace(b"Via:", b"P-Asserted-Identity: <sip:bob@b.example>\r\nVia:", 1)
        client.send(first)
        self.assertEqual(client.receive_final(wanted.call_id).status, 200)
        self.check(self.hop.seen(wanted.call_id)[0])

    def test_asserted_value_is_the_bare_uri(self):
        client = self.client()
        for sender, uri in {
                '"Alice" <sip:alice@a.example>;tag=1': "sip:alice@a.example",
                "sip:alice@a.example;tag=1": "sip:alice@a.example",
                "<sip:alice@a.example;transport=tls;x=y>;tag=1": "sip:alice@a.example",
                "<sip:+15551@a.example;user=phone>;tag=1": "sip:+15551@a.example;user=phone"}.items():
            with self.subTest(sender=sender):
                seen = self.forwarded(client, request(sender=sender))
                if self.asserted:
                    self.assertEqual(seen.header(self.asserted), "<%s>" % uri)

    def test_from_is_forwarded_as_it_was_written(self):
        client = self.client()
        sender = '"A \\"quoted\\" name" <sip:%61lice@A.example;user=phone>;tag=x;y="z"'
        seen = self.forwarded(client, request(sender=sender))
        self.assertEqual(seen.header("from"), sender)

    def test_privacy_and_diversion_pass(self):
        client = self.client()
        kept = ["Privacy: id", "Diversion: <sip:x@b.example>", "History-Info: <sip:x@c.example>;index=1"]
        seen = self.forwarded(client, request(headers=kept))
        for line in kept:
            self.assertIn(line.encode(), seen.raw)

    def test_responses_are_cleaned_on_the_way_out(self):
        client = self.client()
        wanted = request()
        self.hop.rules[wanted.call_id] = lambda hop, m: hop.respond(m, 200, "OK", headers=[
            "P-Asserted-Identity: <sip:inner@edge.example>", "p-asserted-identity : <tel:+1>",
            "P-Preferred-Identity: <sip:inner@edge.example>", "Remote-Party-ID: <sip:inner@edge.example>",
            "X-Sallyport-Peer: x", "X-Kept: yes"])
        answer = client.exchange(wanted)
        for name in SMUGGLED:
            self.assertEqual(answer.all(name), [], answer.raw)
        self.assertEqual(answer.all("x-kept"), ["yes"])


class AssertedIdentityTest(IdentityHeaders, scene.SceneTest):
    mode, asserted = "pai", "p-asserted-identity"  # pai is the default.


class PreferredIdentityTest(IdentityHeaders, scene.SceneTest):
    mode, asserted = "ppi", "p-preferred-identity"
    config = {"identity-header": {"mode": "ppi"}}
    transport = "tcp"


class NoIdentityHeaderTest(IdentityHeaders, scene.SceneTest):
    mode, asserted = "none", None
    config = {"identity-header": {"mode": "none"}}


if __name__ == "__main__":
    scene.main()
