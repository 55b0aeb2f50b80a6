"""The usual stage: an edge for edge.example with one outside TLS listener, one next hop inside, one CA."""
import os
import secrets
import shutil
import sys
import tempfile
import unittest

from . import edge as edge_process
from . import messages, tls_client
from .certificates import Authority
from .next_hop import NextHop

DOMAIN = "URI:sip:a.example"  # The identity of the usual peer.
EDGE = ("URI:sip:edge.example", "DNS:edge.example")


class SceneTest(unittest.TestCase):
    """Base of the tests. A class sets what it wants different; one edge serves all tests of the class."""

    transport = "udp"   # Of the next hop.
    config = {}         # Merged over the usual configuration.
    host = "127.0.0.1"  # Where everything listens.
    next_hops = 1

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sallyport-test-")
        cls.edges = []
        cls.hops = []
        try:
            cls.authority = Authority(cls.folder, "ca", "Test CA")
            cls.hops = [NextHop(cls.transport, host=cls.host) for _ in range(cls.next_hops)]
            cls.hop = cls.hops[0] if cls.hops else None
            cls.prepare()
            cls.edge = cls.new_edge(cls.config)
        except BaseException:
            try:
                cls._tear_down()
            except AssertionError:
                pass  # The first failure says more.
            raise

    @classmethod
    def prepare(cls):
        """For what a class needs before its edge starts."""

    @classmethod
    def tearDownClass(cls):
        cls._tear_down()

    @classmethod
    def _tear_down(cls):
        try:
            for edge in cls.edges:
                edge.stop()
        finally:
            for hop in cls.hops:
                hop.close()
            if not os.environ.get("SALLYPORT_KEEP"):
                shutil.rmtree(cls.folder, ignore_errors=True)
            else:
                print("kept: " + cls.folder, file=sys.stderr)

    def run(self, result=None):
        before = 0 if result is None else len(result.failures) + len(result.errors)
        super().run(result)
        if result is not None and len(result.failures) + len(result.errors) > before:
            for edge in self.edges:
                print("--- last lines of %s of %s\n%s\n---" % (
                    os.path.basename(edge.log_path), self.id(), "\n".join(edge.log_lines()[-15:])), file=sys.stderr)

    @classmethod
    def usual_config(cls):
        """Two outside listeners would need two profiles; classes that want them add both."""
        certificate = cls.authority.leaf(*EDGE)
        secret = os.path.join(cls.folder, "edge.secret")
        if not os.path.exists(secret):
            with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
                out.write(secrets.token_hex(32) + "\n")
        return {
            "edge": {"domain": "edge.example", "domains": ["edge.example"], "secret": "file:" + secret,
                     "admin": "127.0.0.1:%d" % edge_process.free_port()},
            "tls.federation": {"certificate": certificate.chain, "certificate-key": certificate.key,
                               "trusted-ca": cls.authority.path},
            "listener": [cls.outside(), cls.inside()],
            "next-hop": [{"name": "core", "targets": [hop.target for hop in cls.hops], "zone": "inside"}],
            "timeouts": {"drain": "5s"},
        }

    @classmethod
    def outside(cls, name="federation", **changes):
        made = {"name": name, "address": cls.free_address(), "zone": "outside"}
        made.update(changes)
        return made

    @classmethod
    def inside(cls, name="core", transport=None):
        address = cls.free_address()
        return {"name": name, "address": address, "transport": transport or cls.transport, "zone": "inside",
                "advertise": "edge.example:" + address.rsplit(":", 1)[1]}

    @classmethod
    def free_address(cls):
        return ("[%s]:%d" if ":" in cls.host else "%s:%d") % (cls.host, edge_process.free_port())

    @classmethod
    def new_edge(cls, changes=None, start=True):
        edge = edge_process.Edge(cls.folder, edge_process.merge(cls.usual_config(), changes or {}), start=False)
        cls.edges.append(edge)
        if start:
            edge.start()
        return edge

    def another_edge(self, changes=None):
        """One more instance for this test. Make it before its clients: it stops after they have closed."""
        edge = self.new_edge(changes)
        self.addCleanup(edge.stop)
        return edge

    def context(self, *identities, version=None, authority=None, **kind):
        """A client context with a certificate of these identities; without any, of the usual peer."""
        authority = authority or self.authority
        return tls_client.context(self.authority, authority.leaf(*(identities or (DOMAIN,)), **kind), version)

    def client(self, *identities, version=None, edge=None, port=None, **more):
        edge = edge or self.edge
        more.setdefault("host", self.host)
        made = tls_client.TlsClient(port or edge.port, self.context(*identities, version=version), **more)
        self.addCleanup(made.close_quietly)
        return made

    def assert_refused(self, answer, status, phrase=None):
        self.assertEqual(answer.status, status, answer.raw)
        if phrase is not None:
            self.assertEqual(answer.reason, phrase)
        # RFC 3261 §8.2.6.2: what every response copies.
        self.assertEqual(answer.header("to").lower().count(";tag="), 1, answer.raw)

    def counted(self, name, change=1, edge=None, **labels):
        return _Counted(edge or self.edge, name, change, labels)

    def rejected(self, reason, change=1, edge=None):
        """Asserts that the block adds `change` (a number or a predicate) to the counter of a refusal."""
        return self.counted("requests_rejected_total", change, edge, reason=reason)

    def assert_never_forwarded(self, client, *requests):
        """Proves that `requests` were not forwarded, by a later request on the same connection that was: the edge
        serves a connection in order and the next hop keeps every byte."""
        probe = messages.request("OPTIONS", sender="<%s>;tag=probe" % client.own_uri)
        self.assertEqual(client.exchange(probe).status, 200)
        for hop in self.hops:
            for request in requests:
                self.assertEqual(hop.seen(request.call_id), [])


class _Counted:
    """Counters are read before and after; the end value is awaited because a scrape may overtake a shard."""

    def __init__(self, edge, name, change, labels):
        self._edge, self._name, self._change, self._labels = edge, name, change, labels

    def __enter__(self):
        self._before = self._edge.metrics().value(self._name, **self._labels)
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            enough = self._change if callable(self._change) else lambda change: change == self._change
            self._edge.wait_metric(self._name, lambda value: enough(value - self._before), timeout=20.0, **self._labels)


def main():
    """Runs the tests of the calling file: `python3 x_test.py [--binary PATH] [unittest arguments]`."""
    if "--binary" in sys.argv:
        at = sys.argv.index("--binary")
        os.environ["SALLYPORT_BINARY"] = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    edge_process.binary()
    unittest.main()
