"""NSD, an authoritative name server, for one zone on a port of loopback."""
import os
import signal
import socket
import struct

from .edge import free_port
from .programs import Program, find

ZONE = "example."
_SOA, _IN = 6, 1


class DnsServer:
    """Serves `records`, lines of a zone file relative to "example."; starts when made. TTLs are in seconds."""

    _count = 0

    def __init__(self, folder, records, ttl=60, negative_ttl=60, host="127.0.0.1"):
        DnsServer._count += 1
        self.host, self.port = host, free_port()
        self._folder = os.path.join(folder, "dns-%d" % DnsServer._count)
        self._ttl, self._negative_ttl, self._serial = ttl, negative_ttl, 0
        self._program = None
        os.mkdir(self._folder)
        with open(os.path.join(self._folder, "nsd.conf"), "w", encoding="ascii") as out:
            # No user to change to, no files outside the folder, no control socket.
            out.write('''server:
  ip-address: {host}@{port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: ""
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  zonefiles-check: yes
  verbosity: 1
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "zone"
'''.format(host=host, port=self.port, folder=self._folder, zone=ZONE))
        self._write(records)
        self.start()

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    def start(self):
        self._program = Program([find("nsd"), "-d", "-c", os.path.join(self._folder, "nsd.conf")], self._folder, "nsd")
        self._wait_for_serial()

    def stop(self):
        if self._program is not None:
            self._program.stop()
            self._program = None

    def update(self, records):
        """Serves other records from now on."""
        self._write(records)
        self._program.process.send_signal(signal.SIGHUP)
        self._wait_for_serial()

    def _write(self, records):
        self.records = list(records)
        self._serial += 1
        path = os.path.join(self._folder, "zone")
        with open(path + ".new", "w", encoding="ascii") as out:
            out.write("$ORIGIN %s\n$TTL %d\n@ SOA ns hostmaster %d 3600 600 86400 %d\n@ NS ns\nns A %s\n" % (
                ZONE, self._ttl, self._serial, self._negative_ttl, self.host))
            out.write("\n".join(records) + "\n")
        os.replace(path + ".new", path)

    def _wait_for_serial(self):
        self._program.wait_until(lambda: self._served_serial() == self._serial)

    def _served_serial(self):
        """The serial of the zone that is served now, None while there is none."""
        question = b"\x07example\x00" + struct.pack("!HH", _SOA, _IN)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            try:
                client.connect((self.host, self.port))
                client.send(struct.pack("!6H", 7, 0, 1, 0, 0, 0) + question)
                answer = client.recv(4096)
            except OSError:
                return None
        if struct.unpack_from("!H", answer, 6)[0] != 1:
            return None
        # Name (a pointer), type, class, TTL, length; then two names, each a label and a pointer, then the serial.
        at = answer.index(b"\x0ahostmaster", 12 + len(question)) + 11 + 2
        return struct.unpack_from("!I", answer, at)[0]
