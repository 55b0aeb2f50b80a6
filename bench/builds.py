"""One build of the edge as bench/regress uses it: its process, and what that talks to."""

import os
import re
import shutil
import signal

import testbed

EDGE, CLIENT, PARTNER = "edge.example", "a.example", "b.example"
INVITE_ANSWER = "486"


class Unmeasured(Exception):
    """Why there is no figure that may be compared."""


class Certificates:
    """One CA for the edge, a domain on each side, `peers` other domains, and `never_seen` certificates for one use."""

    def __init__(self, folder, peers, never_seen):
        authority = testbed.Authority(folder)
        self.folder, self.ca = folder, authority.ca
        self.edge, self.edge_key = authority.leaf("edge", EDGE)
        self.client, self.client_key = authority.leaf("client", CLIENT)
        self.partner, self.partner_key = authority.leaf("partner", PARTNER)
        for number in range(peers):
            authority.leaf(f"peers/p{number:03}.example", f"p{number:03}.example")
        for number in range(never_seen):
            authority.leaf(f"never/{number:06}", CLIENT)
        self.secret = folder / "edge.secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(os.urandom(32).hex() + "\n")


class Build:
    """One binary with the two sinks that it sends to, inside and outside. A process of it lives for one pair."""

    def __init__(self, name, binary, options, certificates, folder):
        self.name, self.options, self.certificates, self.folder = name, options, certificates, folder
        folder.mkdir()
        # A copy, so that two files are compared in any case, and the same ones from begin to end.
        self.binary = shutil.copy2(binary, folder / "sallyport")
        self.process = None
        self.sinks = []

    def start_sinks(self):
        c = self.certificates
        self.sink_ports = [testbed.free_port(), testbed.free_port()]
        for name, port, arguments in (
                ("inside", self.sink_ports[0], ["--tcp"]),
                ("outside", self.sink_ports[1], ["--ca", c.ca, "--cert", c.partner, "--key", c.partner_key, "--tls"])):
            command = [self.options.sipbench, "sink", "--realtime", "--ring", "--invite-answer", INVITE_ANSWER,
                       *arguments, f"127.0.0.1:{port}"]
            self.sinks.append(testbed.start_pinned(self.options.load_core, command,
                                                   open(self.folder / f"sink-{name}.txt", "wb")))
            if not testbed.wait_for_port(port, self.sinks[-1]):
                raise Unmeasured(f"the {name} sink of {self.name} did not start")

    def start(self):
        """A new process, at ports that none has had."""
        self.outside_port, self.inside_port = testbed.free_port(), testbed.free_port()
        c = self.certificates
        config = self.folder / "edge.toml"
        config.write_text(f"""
[edge]
domain = "{EDGE}"
secret = "file:{c.secret}"
shards = 1
admin = ""
[tls.federation]
certificate = "{c.edge}"
certificate-key = "{c.edge_key}"
trusted-ca = "{c.ca}"
[[listener]]
name = "federation"
address = "127.0.0.1:{self.outside_port}"
transport = "tls"
zone = "outside"
[[listener]]
name = "core"
address = "127.0.0.1:{self.inside_port}"
transport = "tcp"
zone = "inside"
[[next-hop]]
name = "core"
zone = "inside"
targets = ["tcp:127.0.0.1:{self.sink_ports[0]}"]
[[next-hop]]
name = "partner"
zone = "outside"
targets = ["tls:127.0.0.1:{self.sink_ports[1]}"]
identity = "{PARTNER}"
[[route]]
zone = "inside"
domain = "{PARTNER}"
next-hop = "partner"
[limits]
queue-delay = "10s"  # A refusal is cheaper than what is to be measured.
""")
        with open(self.folder / "log.txt", "ab") as log:
            self.process = testbed.start_pinned(self.options.server_core, [self.binary, "run", "--config", config], log,
                                                self.options.realtime)
        if not all(testbed.wait_for_port(port, self.process) for port in (self.outside_port, self.inside_port)):
            log = (self.folder / "log.txt").read_text(errors="replace").strip()
            raise Unmeasured(f"{self.name} did not start: {log[-300:]}")

    def stop(self):
        if self.process is not None:
            testbed.stop(self.process, [signal.SIGKILL])
        self.process = None

    def stop_sinks(self):
        for sink in self.sinks:
            testbed.stop(sink)

    def address(self, from_inside):
        return f"127.0.0.1:{self.inside_port if from_inside else self.outside_port}"

    def door(self, from_inside):
        """What sipbench needs to come in there."""
        c = self.certificates
        manner = (["--tcp", "--sent-by", "127.0.0.1:5060"] if from_inside else
                  ["--ca", c.ca, "--cert", c.client, "--key", c.client_key])
        return ["--target", self.address(from_inside), *manner]

    def record_route_bytes(self, sink):
        """Mean of the INVITEs that the sink had; None where there were none."""
        text = (self.folder / f"sink-{sink}.txt").read_text()
        found = re.search(r"([\d.]+) bytes of Record-Route in an INVITE", text)
        return float(found.group(1)) if found else None
