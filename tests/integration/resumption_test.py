"""A resumed session keeps its identity and is judged by it; a ticket that is no good leads to a full handshake."""
import base64
import datetime
import os
import secrets
import ssl
import time

from harness import scene, tls_client
from harness.certificates import Authority
from harness.command_line_client import s_client
from harness.messages import request

FOREIGN = "<sip:bob@b.example>;tag=1"
VERSIONS = ("1.2", "1.3")


class Resumption:
    """What both the one-process and the two-process tests do."""

    def begin(self, context, edge=None, port=None):
        """A full handshake and a request; returns the session to resume."""
        edge = edge or self.edge
        with tls_client.TlsClient(port or edge.port, context) as client:
            self.assertFalse(client.reused)
            client.exchange(request())
            session = client.session
        self.assertIsNotNone(session)
        return session

    def check_resumed(self, context, session, edge=None, port=None):
        """Resumes and is judged by the identity of the full handshake; returns the next session."""
        edge = edge or self.edge
        with tls_client.TlsClient(port or edge.port, context, session=session) as client:
            accepted, foreign = request(), request(sender=FOREIGN)
            self.assertEqual(client.exchange(accepted).status, 200)
            self.assertTrue(client.reused)
            self.assertEqual(self.hop.seen(accepted.call_id)[0].header("p-asserted-identity"),
                             "<sip:alice@a.example>")
            with self.rejected("from-not-covered", edge=edge):
                self.assert_refused(client.exchange(foreign), 403, "From Not Covered By Certificate")
            self.assertEqual(self.hop.seen(foreign.call_id), [])
            return client.session

    def check_declined(self, context, session, edge=None, port=None):
        """The ticket is not accepted; the full handshake in its place succeeds."""
        edge = edge or self.edge
        with tls_client.TlsClient(port or edge.port, context, session=session) as client:
            self.assertEqual(client.exchange(request()).status, 200)
            self.assertFalse(client.reused)


class ResumptionTest(Resumption, scene.SceneTest):

    def test_identity_survives_in_both_versions(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                session = self.begin(context)
                with self.counted("tls_handshakes_total", 1, kind="resumed", result="ok"):
                    self.check_resumed(context, session)

    def test_identity_survives_resumption_after_resumption(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                session = self.begin(context)
                for _ in range(4):
                    session = self.check_resumed(context, session)

    def test_one_ticket_twice(self):
        # Replay of a ticket is no replay of a request: both sessions are the same peer's, who has the ticket's secret.
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                session = self.begin(context)
                for _ in range(2):
                    with tls_client.TlsClient(self.edge.port, context, session=session) as client:
                        self.assertEqual(client.exchange(request()).status, 200)
                        self.assertEqual(client.exchange(request(sender=FOREIGN)).status, 403)

    def test_identities_of_two_peers_do_not_mix(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                contexts = {name: self.context("URI:sip:" + name, version=version)
                            for name in ("a.example", "b.example")}
                sessions = {name: self.begin(context) for name, context in contexts.items()}
                for name, context in contexts.items():
                    with tls_client.TlsClient(self.edge.port, context, session=sessions[name]) as client:
                        for other in contexts:
                            wanted = request(sender="<sip:x@%s>;tag=1" % other)
                            self.assertEqual(client.exchange(wanted).status, 200 if other == name else 403)
                        self.assertTrue(client.reused)

    def test_certificate_of_a_user_and_one_without_san_survive(self):
        for identities, sender in ((("URI:sip:alice@a.example",), "<sip:alice@a.example>;tag=1"),
                                   (("CN=a.example",), "<sip:alice@a.example>;tag=1"),
                                   (("DNS:a.example",), "<sip:alice@a.example>;tag=1")):
            for version in VERSIONS:
                with self.subTest(identities=identities, version=version):
                    context = self.context(*identities, version=version)
                    session = self.begin(context)
                    with tls_client.TlsClient(self.edge.port, context, session=session) as client:
                        self.assertEqual(client.exchange(request(sender=sender)).status, 200)
                        self.assertTrue(client.reused)
                        foreign = request(sender="<sip:bob@b.example>;tag=1")
                        self.assertEqual(client.exchange(foreign).status, 403)

    def test_s_client_resumes_in_both_versions(self):
        certificate = self.authority.leaf(scene.DOMAIN)
        for version in VERSIONS:
            with self.subTest(version=version):
                path = os.path.join(self.folder, "session-%s.pem" % version)
                with s_client(self.edge.port, self.authority, certificate, version,
                              more=("-sess_out", path)) as client:
                    client.send(request("OPTIONS"))
                    self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK"), client.output)
                with s_client(self.edge.port, self.authority, certificate, version, more=("-sess_in", path)) as client:
                    self.assertIsNotNone(client.wait_for(rb"\nReused, TLSv" + version.encode()), client.output)
                    client.send(request("OPTIONS"))
                    self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK"), client.output)
                    client.send(request("OPTIONS", sender=FOREIGN))
                    self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 403 From Not Covered By Certificate"),
                                         client.output)

    def test_ticket_of_one_server_name_is_not_taken_for_another(self):
        # The binding holds the SNI. The certificate is the same, so the client itself would try.
        leaf_context = self.context()
        leaf_context.check_hostname = False
        session = self.begin(leaf_context)
        with tls_client.TlsClient(self.edge.port, leaf_context, session=session, server_name="other.example") as client:
            self.assertEqual(client.exchange(request()).status, 200)
            self.assertFalse(client.reused)

    def test_damaged_ticket_leads_to_a_full_handshake(self):
        certificate = self.authority.leaf(scene.DOMAIN)
        for version in VERSIONS:
            path = os.path.join(self.folder, "damaged-%s.pem" % version)
            with s_client(self.edge.port, self.authority, certificate, version, more=("-sess_out", path)) as client:
                client.send(request("OPTIONS"))
                self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK"), client.output)
            ticket = _ticket_position(path)
            for position in (0, 15, 16, 20, 40, 76, 100, -1):
                with self.subTest(version=version, position=position):
                    damaged = _damage(path, ticket, position)
                    with s_client(self.edge.port, self.authority, certificate, version,
                                  more=("-sess_in", damaged)) as client:
                        self.assertIsNotNone(client.wait_for(rb"\nNew, TLSv"), client.output)
                        client.send(request("OPTIONS"))
                        self.assertIsNotNone(client.wait_for(rb"SIP/2\.0 200 OK"), client.output)
        self.assertTrue(self.edge.is_alive())


def _ticket_position(path):
    """(file's DER, offset and length of the ticket in it): the context tag [10] of OpenSSL's SSL_SESSION."""
    with open(path, encoding="ascii") as pem:
        text = pem.read().replace("SSL SESSION PARAMETERS", "CERTIFICATE")
    der = ssl.PEM_cert_to_DER_cert(text)
    at = 0
    while True:
        at = der.index(b"\xaa", at)
        # [10] { OCTET STRING }: lengths in one, two or three bytes.
        outer, start = _length(der, at + 1)
        if start < len(der) and der[start] == 0x04:
            inner, body = _length(der, start + 1)
            if inner > 100 and body + inner == start + outer:
                return der, body, inner
        at += 1


def _length(der, at):
    if der[at] < 0x80:
        return der[at], at + 1
    size = der[at] & 0x7F
    return int.from_bytes(der[at + 1:at + 1 + size], "big"), at + 1 + size


def _damage(path, ticket, position):
    der, start, size = ticket
    changed = bytearray(der)
    changed[start + position % size] ^= 0x55
    target = path[:-4] + "-damaged.pem"
    body = base64.encodebytes(bytes(changed)).decode()
    with open(target, "w", encoding="ascii") as out:
        out.write("-----BEGIN SSL SESSION PARAMETERS-----\n%s-----END SSL SESSION PARAMETERS-----\n" % body)
    return target


class TwoProcessesTest(Resumption, scene.SceneTest):
    """Another instance that shares edge.secret and has never seen the peer."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = cls.new_edge()

    def test_session_moves_to_the_other_instance_and_back(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context("URI:sip:a.example", "URI:sip:v%s.example" % version, version=version)
                session = self.begin(context)
                for edge in (self.second, self.edge, self.second):
                    session = self.check_resumed(context, session, edge=edge)

    def test_instance_with_another_secret_declines(self):
        path = os.path.join(self.folder, "other.secret")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_hex(32) + "\n")
        stranger = self.another_edge({"edge": {"secret": "file:" + path}})
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                self.check_declined(context, self.begin(context), edge=stranger)

    def test_secret_rotation(self):
        # Several lines are a rotation: the first one signs, all of them open.
        with open(self.edge.config["edge"]["secret"][5:], encoding="ascii") as old:
            old_secret = old.read()
        path = os.path.join(self.folder, "rotated.secret")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_hex(32) + "\n" + old_secret)
        rotated = self.another_edge({"edge": {"secret": "file:" + path}})
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                self.check_resumed(context, self.begin(context), edge=rotated)
                self.check_declined(context, self.begin(context, edge=rotated))

    def test_instance_with_another_trust_declines(self):
        other = Authority(self.folder, "other-trust", "Other CA")
        together = os.path.join(self.folder, "both.pem")
        with open(together, "w", encoding="ascii") as out:
            for authority in (self.authority, other):
                with open(authority.path, encoding="ascii") as part:
                    out.write(part.read())
        wider = self.another_edge({"tls.federation": {"trusted-ca": together}})
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                self.check_declined(context, self.begin(context), edge=wider)


class LostStandingTest(Resumption, scene.SceneTest):
    """After a reload the peer is no longer acceptable: its ticket leads to a full handshake, and that is refused."""

    def replace_trust(self, version, authority):
        context = self.context(version=version)
        session = self.begin(context)
        session = self.check_resumed(context, session)
        self.edge.reload({"tls.federation": {"trusted-ca": authority.path}})
        try:
            wanted = request()
            tls_client.refused(self.edge.port, context, wanted.bytes, session=session)
            self.assertEqual(self.hop.seen(wanted.call_id), [])
            leaf = authority.with_root(authority.leaf(scene.DOMAIN))
            newcomer = tls_client.context(self.authority, leaf, version)
            with tls_client.TlsClient(self.edge.port, newcomer) as client:
                self.assertEqual(client.exchange(request()).status, 200)
        finally:
            self.edge.reload({"tls.federation": {"trusted-ca": self.authority.path}})
        with tls_client.TlsClient(self.edge.port, context, session=session) as client:
            self.assertEqual(client.exchange(request()).status, 200, "and back again")

    def test_authority_replaced(self):
        successor = Authority(self.folder, "successor", "Successor CA")
        for version in VERSIONS:
            with self.subTest(version=version):
                self.replace_trust(version, successor)

    def test_authority_replaced_by_one_of_the_same_name(self):
        clone = Authority(self.folder, "resume-clone", "Test CA",
                          key_identifier=self.authority.subject_key_identifier())
        for version in VERSIONS:
            with self.subTest(version=version):
                self.replace_trust(version, clone)

    def test_certificate_that_expires(self):
        # Valid for a few seconds: long enough for the full handshake, over when it is resumed.
        now = datetime.datetime.now(datetime.timezone.utc)
        ends = now + datetime.timedelta(seconds=6)
        begins = now - datetime.timedelta(hours=1)
        leaf = self.authority.leaf(scene.DOMAIN, not_before=begins.strftime("%Y%m%d%H%M%SZ"),
                                   not_after=ends.strftime("%Y%m%d%H%M%SZ"))
        contexts = {version: tls_client.context(self.authority, leaf, version) for version in VERSIONS}
        sessions = {version: self.begin(context) for version, context in contexts.items()}
        while datetime.datetime.now(datetime.timezone.utc) < ends + datetime.timedelta(seconds=1.5):
            time.sleep(0.2)  # The one thing here that only the wall clock can bring about.
        for version in VERSIONS:
            with self.subTest(version=version):
                tls_client.refused(self.edge.port, contexts[version], request().bytes, session=sessions[version])


class OtherListenerTest(Resumption, scene.SceneTest):
    """A ticket belongs to the policy that it was issued under (CVE-2025-23419 and its kin)."""

    @classmethod
    def prepare(cls):
        cls.other_authority = Authority(cls.folder, "listener-ca", "Listener CA")

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["tls.other"] = dict(config["tls.federation"], **{"trusted-ca": cls.other_authority.path})
        config["listener"][0]["tls"] = "federation"
        config["listener"].insert(1, cls.outside("optional", **{"client-certificate": "optional", "tls": "federation"}))
        config["listener"].insert(2, cls.outside("other", tls="other"))
        return config

    def test_anonymous_ticket_is_no_way_into_a_listener_that_requires_a_certificate(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                context = tls_client.context(self.authority, version=version)
                session = self.begin(context, port=self.edge.listener_port("optional"))
                wanted = request()
                tls_client.refused(self.edge.listener_port("federation"), context, wanted.bytes, session=session)
                self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_anonymous_ticket_stays_anonymous_where_it_was_issued(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                context = tls_client.context(self.authority, version=version)
                session = self.begin(context, port=self.edge.listener_port("optional"))
                with tls_client.TlsClient(self.edge.listener_port("optional"), context, session=session) as client:
                    with self.rejected("no-identity"):
                        self.assert_refused(client.exchange(request()), 403, "Mutual TLS Required")

    def test_ticket_of_a_listener_with_other_authorities_is_refused(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                session = self.begin(context, port=self.edge.listener_port("federation"))
                wanted = request()
                tls_client.refused(self.edge.listener_port("other"), context, wanted.bytes, session=session)
                self.assertEqual(self.hop.seen(wanted.call_id), [])


class NoResumptionTest(Resumption, scene.SceneTest):
    config = {"tls.federation": {"resumption": False}}

    def test_no_ticket_is_issued(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                with tls_client.TlsClient(self.edge.port, self.context(version=version)) as client:
                    self.assertEqual(client.exchange(request()).status, 200)
                    self.assertFalse(client.session and client.session.has_ticket)

    def test_ticket_of_an_instance_that_resumes_is_declined(self):
        generous = self.another_edge({"tls.federation": {"resumption": True}})
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.context(version=version)
                self.check_declined(context, self.begin(context, edge=generous))


if __name__ == "__main__":
    scene.main()
