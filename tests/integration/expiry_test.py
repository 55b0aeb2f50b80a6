"""Standing ends with the certificate: an open connection whose certificate has expired, or any above it, carries no
request any more, in either direction."""
import datetime
import os
import time

from harness import scene, tls_client, tls_server
from harness.certificates import Authority
from harness.inside import Inside
from harness.messages import request

LIFETIME = 10  # Seconds: long enough to set the scene under a sanitizer.
VERSIONS = ("1.2", "1.3")
PARTNER = ("URI:sip:b.example", "DNS:b.example")


class Brief:
    """Certificates that end at one and the same time, and the wait for it."""

    def begin(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.ends = (now + datetime.timedelta(seconds=LIFETIME)).replace(microsecond=0)
        self.dates = [moment.strftime("%Y%m%d%H%M%SZ") for moment in (now - datetime.timedelta(hours=1), self.ends)]

    def brief_leaf(self, *identities):
        return self.authority.leaf(*identities, not_before=self.dates[0], not_after=self.dates[1])

    def assert_in_time(self):
        self.assertLess(datetime.datetime.now(datetime.timezone.utc), self.ends, "this machine was too slow for the test")

    def wait_for_the_end(self):
        """The one thing that only the wall clock can bring about. The last second is a good one."""
        after = self.ends + datetime.timedelta(seconds=1.1)
        deadline = time.monotonic() + LIFETIME + 5
        while datetime.datetime.now(datetime.timezone.utc) < after:
            self.assertLess(time.monotonic(), deadline, "the wall clock stands still")
            time.sleep(0.1)


class AcceptedTest(Brief, scene.SceneTest):

    def brief_chains(self):
        """{which certificate is brief: a leaf}. Only that one is."""
        sub = Authority(self.folder, "brief-sub", "Brief Sub", parent=self.authority, dates=self.dates)
        root = Authority(self.folder, "brief-root", "Brief Root", dates=self.dates)
        together = os.path.join(self.folder, "with-brief-root.pem")
        with open(together, "w", encoding="ascii") as out:
            for authority in (self.authority, root):
                with open(authority.path, encoding="ascii") as part:
                    out.write(part.read())
        self.edge.reload({"tls.federation": {"trusted-ca": together}})
        return {"leaf": self.brief_leaf(scene.DOMAIN), "intermediate": sub.leaf(scene.DOMAIN),
                "anchor": root.with_root(root.leaf(scene.DOMAIN))}

    def connect(self, context, session=None):
        client = tls_client.TlsClient(self.edge.port, context, session=session)
        self.addCleanup(client.close_quietly)
        self.assertEqual(client.exchange(request()).status, 200)
        self.assertEqual(client.reused, session is not None)
        return client

    def check_ended(self, client, method):
        wanted = request(method, to="<sip:bob@edge.example>" + (";tag=uas" if method != "MESSAGE" else ""))
        with self.rejected("peer-refused"):
            if method == "ACK":
                client.send(wanted)
            else:
                self.assert_refused(client.exchange(wanted), 403, "Peer Not Permitted")
            self.assertEqual(client.wait_closed(), [])
        self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_open_connections_end_with_any_certificate_of_the_chain(self):
        self.begin()
        contexts = {(which, version): tls_client.context(self.authority, leaf, version)
                    for which, leaf in self.brief_chains().items() for version in VERSIONS}
        full = {key: self.connect(context) for key, context in contexts.items()}
        sessions = {key: client.session for key, client in full.items()}
        resumed = {key: self.connect(context, sessions[key]) for key, context in contexts.items()}
        spare = {key: self.connect(context) for key, context in contexts.items()}
        self.assert_in_time()
        self.wait_for_the_end()
        for key, context in contexts.items():
            with self.subTest(key=key):
                self.check_ended(full[key], "MESSAGE")
                self.check_ended(resumed[key], "BYE")
                self.check_ended(spare[key], "ACK")
                wanted = request()
                tls_client.refused(self.edge.port, context, wanted.bytes)
                tls_client.refused(self.edge.port, context, wanted.bytes, session=sessions[key])
                self.assertEqual(self.hop.seen(wanted.call_id), [])
        causes = [event["cause"] for event in self.edge.events() if event.get("reason") == "peer-refused"]
        self.assertEqual(set(causes), {"the certificate has expired"})
        self.assertEqual(self.client().exchange(request()).status, 200, "others are served")


class FlowTest(Brief, scene.SceneTest):
    """Towards a peer that opened the connection, from its own shard and from another."""

    config = {"edge": {"shards": 2}}

    def register(self, context):
        client = tls_client.TlsClient(self.edge.port, context)
        self.addCleanup(client.close_quietly)
        wanted = request("REGISTER", uri="sip:edge.example", to="<sip:alice@a.example>", omit=("contact",), headers=(
            "Supported: path, outbound", "Contact: <sip:alice@192.0.2.9;transport=tls;ob>;reg-id=1"
            ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\""))
        self.assertEqual(client.exchange(wanted).status, 200)
        return client, self.hop.seen(wanted.call_id)[0].header("path")

    def to_flow(self, path, number):
        return self.inside.request("MESSAGE", "sip:alice@192.0.2.9;transport=tls", "z9hG4bK-flow-%s" % number,
                                   to="<sip:alice@a.example>", headers=("Route: " + path,))

    def test_flow_counts_as_gone(self):
        self.begin()
        self.inside = Inside("udp", self.edge.listener_port("core"))
        self.addCleanup(self.inside.close)
        leaf = self.brief_leaf(scene.DOMAIN)
        flows = [self.register(tls_client.context(self.authority, leaf, VERSIONS[n % 2])) for n in range(8)]
        client, path = flows[0]
        wanted = self.to_flow(path, "good")
        self.inside.send(wanted)
        self.assertEqual(client.receive().call_id, wanted.call_id)
        self.assert_in_time()
        self.wait_for_the_end()
        for n, (client, path) in enumerate(flows[1:]):
            with self.subTest(n=n):
                self.assertEqual(self.inside.exchange(self.to_flow(path, n)).status, 430)
                self.assertEqual(client.wait_closed(), [])


class DialledTest(Brief, scene.SceneTest):

    def setUp(self):
        self.begin()
        leaf = self.brief_leaf(*PARTNER)
        self.servers = {}
        for version in VERSIONS:
            server = tls_server.TlsServer(tls_server.context(self.authority, leaf, version))
            self.addCleanup(server.close)
            self.servers[version] = server
        self.edge.reload({
            "next-hop": self.edge.config["next-hop"][:1] + [
                {"name": "v" + version, "targets": [server.target], "zone": "outside", "identity": "b.example"}
                for version, server in self.servers.items()],
            "route": [{"zone": "inside", "domain": "b.example", "user": "v" + version, "next-hop": "v" + version}
                      for version in VERSIONS]})
        self.inside = Inside("udp", self.edge.listener_port("core"))
        self.addCleanup(self.inside.close)
        self.count = 0

    def ask(self, version):
        """A request from inside to that server; returns the final response and the request."""
        self.count += 1
        wanted = self.inside.request("MESSAGE", "sip:v%s@b.example" % version, "z9hG4bK-out-%d" % self.count,
                                     to="<sip:bob@b.example>")
        return self.inside.exchange(wanted), wanted

    def check_talks(self, version, session_count, reused=None):
        answer, wanted = self.ask(version)
        self.assertEqual(answer.status, 200, answer.raw)
        session = self.servers[version].wait_sessions(session_count)
        session.wait(wanted.call_id)
        if reused is not None:
            self.assertEqual(session.reused, reused)
        return session

    def test_what_we_dialled_ends_too_and_is_dialled_anew(self):
        open_ones = {}
        for version in VERSIONS:
            first = self.check_talks(version, 1, reused=False)
            first.end()  # The next one is resumed.
            first.wait_over()
            open_ones[version] = self.check_talks(version, 2, reused=True)
            wanted = request(sender="<sip:bob@b.example>;tag=1")
            open_ones[version].send(wanted)
            self.assertEqual(open_ones[version].wait(wanted.call_id).status, 200)
        self.assert_in_time()
        self.wait_for_the_end()
        self.check_request_of_the_server(open_ones["1.2"])
        self.check_renewal("1.2", 3)
        self.check_renewal("1.3", 3)
        open_ones["1.3"].wait_over()  # It was left for the new one.

    def check_request_of_the_server(self, session):
        wanted = request(sender="<sip:bob@b.example>;tag=1")
        with self.rejected("peer-refused"):
            session.send(wanted)
            self.assertEqual(session.wait(wanted.call_id).status, 403)
            session.wait_over()
        self.assertEqual(self.hop.seen(wanted.call_id), [])

    def check_renewal(self, version, session_count):
        """Expired as it is, the server gets nothing; with a new certificate it is served again."""
        server = self.servers[version]
        with self.subTest(version=version):
            before = len(server.sessions)
            answer, wanted = self.ask(version)
            self.assertEqual(answer.status, 503, answer.raw)
            self.assertRegex(answer.header("warning"), r"certificate.* expired")
            for session in server.sessions[:before]:
                self.assertEqual([m for m in session.messages if m.call_id == wanted.call_id], [])
            server.context = tls_server.context(self.authority, self.authority.leaf(*PARTNER), version)
            deadline = time.monotonic() + 20.0
            while self.ask(version)[0].status != 200:  # A target that failed is left alone for a while.
                self.assertLess(time.monotonic(), deadline, "the server has a good certificate and is not used")
                time.sleep(0.1)
            self.assertFalse(server.sessions[-1].reused)


if __name__ == "__main__":
    scene.main()
