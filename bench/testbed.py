"""What the comparisons of this folder share: ports, a CA with certificates from it, processes pinned to a core."""

import os
import shutil
import signal
import socket
import subprocess
import time


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


class Authority:
    """A P-256 CA in `folder`, and certificates that speak for every user of a domain."""

    LEAF = """[req]
distinguished_name = dn
x509_extensions = leaf
[dn]
[leaf]
subjectAltName = URI:sip:{domain},DNS:{domain}
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = none
authorityKeyIdentifier = none
"""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)  # What another run left was signed by another key.
        folder.mkdir(parents=True)
        self.ca, self.ca_key = folder / "ca.pem", folder / "ca.key"
        self._new("-subj", "/CN=Comparison CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                  *self._new_key(self.ca_key), "-out", self.ca)

    @staticmethod
    def _new(*arguments):
        subprocess.run(["openssl", "req", "-x509", "-days", "30", *map(str, arguments)], check=True,
                       capture_output=True)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    def leaf(self, name, domain, key=None):
        """NAME.pem and its key, which is NAME.key unless `key` is one that exists."""
        certificate, own_key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.parent.mkdir(exist_ok=True)
        settings = self.folder / f"{domain}.cnf"
        settings.write_text(self.LEAF.format(domain=domain))
        self._new("-config", settings, "-subj", f"/CN={domain}", "-CA", self.ca, "-CAkey", self.ca_key,
                  *(["-key", key] if key else self._new_key(own_key)), "-out", certificate)
        return certificate, key or own_key


def start_pinned(core, command, log=subprocess.DEVNULL, realtime=False, **options):
    """A process in a session of its own, so that stop() ends its children, too."""
    placement = ["taskset", "-c", str(core), *(["chrt", "--rr", "1"] if realtime else [])]
    return subprocess.Popen([*placement, *map(str, command)], stdout=log, stderr=log, start_new_session=True, **options)


def stop(process, numbers=(signal.SIGTERM, signal.SIGKILL)):
    for number in numbers:
        try:
            os.killpg(process.pid, number)
            process.wait(3)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
