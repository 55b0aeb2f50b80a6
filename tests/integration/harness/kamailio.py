"""Kamailio on either side of the edge: as the SIP server inside, and as the server of another domain."""
import os
import socket

from . import messages
from .edge import free_port
from .programs import Program, beside, find

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
INSIDE_CONFIG = os.path.join(ROOT, "deploy", "interop", "kamailio", "kamailio.cfg")
_REMOTE_CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "remote_domain.cfg")
_MODULES = ("usr/lib/x86_64-linux-gnu/kamailio/modules", "usr/lib/aarch64-linux-gnu/kamailio/modules")


def answers_options(host, port, uri):
    """Whether a SIP server on UDP answers an OPTIONS within half a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.connect((host, port))
            client.send(messages.request("OPTIONS", uri=uri, via="SIP/2.0/UDP %s:%d;rport;branch=z9hG4bK%s" % (
                *client.getsockname(), messages.unique("probe"))).bytes)
            return messages.Message(client.recv(65536)).status == 200
        except OSError:
            return False


class Kamailio:
    """One instance in the foreground; starts when made. `definitions` replace words of the configuration file."""

    _count = 0

    def __init__(self, folder, config, definitions, host, port, probe_uri):
        Kamailio._count += 1
        self.host, self.port = host, port
        self._folder = os.path.join(folder, "kamailio-%d" % Kamailio._count)
        os.makedirs(self._folder, exist_ok=True)
        program = find("kamailio")
        modules = beside(program, *_MODULES)
        arguments = [program, "-DD", "-E", "-m", "64", "-M", "8", "-w", self._folder, "-Y", self._folder, "-L", modules,
                     "-f", config]
        # One worker of each kind: several may pass a 180 on behind the 200 that follows it, and SIPp takes that for a fault.
        arguments += ["-n", "1", "-N", "1", "-A", "WORKERS=1"]
        for name, value in definitions.items():
            arguments += ["-A", "%s=%s" % (name, value)]
        self._arguments, self._probe_uri = arguments, probe_uri
        # Unpacked instead of installed, it does not find its own library.
        self._environment = {"LD_LIBRARY_PATH": os.path.dirname(modules)}
        self.start()

    def start(self):
        """Once more, after stop(): it remembers nothing."""
        self._program = Program(self._arguments, self._folder, "kamailio", self._environment)
        try:
            self._program.wait_until(lambda: answers_options(self.host, self.port, self._probe_uri))
        except AssertionError:
            self.stop()
            raise

    @property
    def output(self):
        return self._program.output

    @property
    def address(self):
        """Of its UDP socket (and TCP, where it has that)."""
        return "%s:%d" % (self.host, self.port)

    def stop(self):
        self._program.stop()


def inside(folder, edge_udp_port, edge_tcp_port, port=None, config=None):
    """Registrar and proxy of edge.example: the configuration that deploy/interop ships, or another, on other ports."""
    port = port or free_port()
    return Kamailio(folder, config or INSIDE_CONFIG, {
        "PORT": port, "EDGE_UDP": '"sip:127.0.0.1:%d"' % edge_udp_port,
        "EDGE_TCP": '"sip:127.0.0.1:%d;transport=tcp"' % edge_tcp_port}, "127.0.0.1", port, "sip:edge.example")


class RemoteDomain(Kamailio):
    """The server of another domain, with the certificate that the test gives it. Its user's telephone is at
    `user_port` and calls by way of `address` (UDP)."""

    def __init__(self, folder, certificate, trusted_ca, edge_port, user_port, domain="b.example", host="127.0.0.1",
                 tls_port=None):
        self.domain, self.tls_port = domain, tls_port or free_port()
        port = free_port()
        tls = os.path.join(folder, "remote-%d-tls.cfg" % self.tls_port)
        settings = ("method = TLSv1.2+\nverify_certificate = yes\nrequire_certificate = yes\nprivate_key = %s\n"
                    "certificate = %s\nca_list = %s\n" % (certificate.key, certificate.chain, trusted_ca))
        with open(tls, "w", encoding="ascii") as out:
            out.write("[server:default]\n%s\n[client:default]\n%s" % (settings, settings))
        super().__init__(folder, _REMOTE_CONFIG, {
            "DOMAIN": '"%s"' % domain, "ADDRESS": host, "TLS_PORT": self.tls_port,
            "UDP_PORT": port, "USER": '"sip:127.0.0.1:%d"' % user_port,
            "EDGE": '"sip:127.0.0.1:%d;transport=tls"' % edge_port, "EDGE_IDENTITY": '"sip:edge.example"',
            "UDP_ROUTE": '"%s:%d;r2=on"' % (host, port),
            "TLS_ROUTE": '"%s:%d;transport=tls;r2=on"' % (domain, self.tls_port), "TLS_CONFIG": '"%s"' % tls},
                         host, port, "sip:" + domain)
