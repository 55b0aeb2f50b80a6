"""`openssl s_client` and `gnutls-cli` as SIP clients: TLS stacks and programs that nobody here wrote."""
import os
import re
import subprocess
import threading
import time

SECONDS = 20.0


class CommandLineClient:
    """A TLS client program whose standard input and output are the connection."""

    def __init__(self, arguments):
        self.output = b""
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self._changed:
                self.output += data
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return

    def send(self, data):
        data = getattr(data, "bytes", data)
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def wait_for(self, pattern, timeout=SECONDS):
        """Waits until the output matches; returns the match, or None if the program ended without it."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = re.search(pattern, self.output, re.DOTALL)
                if found or self._ended:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("no %r in the output of the client:\n%s" % (
                        pattern, self.output.decode(errors="replace")[-3000:]))
                self._changed.wait(left)

    def wait_end(self, timeout=SECONDS):
        """Waits until the program ended by itself and returns what it printed."""
        self.wait_for(rb"\A\b\B", timeout)  # Matches nothing: only the end ends it.
        self.process.wait(timeout)
        return self.output

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)  # Else it would read what the next client's descriptor of this number says.
        self.process.stdout.close()


def s_client(port, authority, certificate=None, version=None, server_name="edge.example", more=()):
    arguments = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-servername", server_name, "-CAfile",
                 authority.path, "-verify_return_error", "-ign_eof", *more]
    if certificate is not None:
        arguments += ["-cert", certificate.path, "-key", certificate.key]
        if certificate.chain != certificate.path:
            arguments += ["-cert_chain", certificate.chain]
    if version is not None:
        arguments.append({"1.2": "-tls1_2", "1.3": "-tls1_3"}[version])
    return CommandLineClient(arguments)


def gnutls_cli(port, authority, certificate=None, version=None, server_name="edge.example"):
    arguments = ["gnutls-cli", "-p", str(port), "127.0.0.1", "--sni-hostname=" + server_name,
                 "--verify-hostname=" + server_name, "--x509cafile=" + authority.path]
    if certificate is not None:
        arguments += ["--x509certfile=" + certificate.chain, "--x509keyfile=" + certificate.key]
    if version is not None:
        arguments.append("--priority=NORMAL:-VERS-ALL:+VERS-TLS" + version)
    return CommandLineClient(arguments)
