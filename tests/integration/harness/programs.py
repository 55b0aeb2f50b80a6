"""Programs that we did not write: where they are, and how one runs as a child process."""
import os
import re
import shutil
import subprocess
import threading
import time

SECONDS = 45.0
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# Packages that would start a service are unpacked there instead of installed: see deploy/packages.txt.
TOOLS = os.path.join(_ROOT, "build", "tools")
_FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/sbin", os.path.join(TOOLS, "usr/sbin"), os.path.join(TOOLS, "usr/bin"))


def find(name):
    """The path of a program. Its absence is a failure: a test that did not run must not look like one that passed."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_FOLDERS))
    if path is None:
        raise AssertionError("no %s on this machine; deploy/test installs what the tests need" % name)
    return path


def beside(program, *places):
    """The first of `places` that exists under the root that `program` is installed or unpacked in."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(program)))
    for place in places:
        path = os.path.join(root, place)
        if os.path.exists(path):
            return path
    raise AssertionError("%s has none of %s" % (root, ", ".join(places)))


class Program:
    """A child process whose output is kept and can be waited for."""

    def __init__(self, arguments, cwd, name=None, environment=None):
        self.name = name or os.path.basename(arguments[0])
        self.arguments = [str(argument) for argument in arguments]
        self.process = subprocess.Popen(self.arguments, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, **(environment or {})))
        self._output = b""
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self._changed:
                self._output += data
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return

    @property
    def output(self):
        with self._changed:
            return self._output.decode(errors="replace")

    def is_alive(self):
        return self.process.poll() is None

    def wait_for(self, pattern, start=0, timeout=SECONDS):
        """Waits until the output from character `start` on matches; returns the match."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                output = self._output.decode(errors="replace")
                found = re.compile(pattern).search(output, start)
                if found:
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError("no %r in the output of %s%s:\n%s" % (
                        pattern, self.name, ", which ended" if self._ended else "", output[-4000:]))
                self._changed.wait(left)

    def wait_until(self, is_ready, timeout=SECONDS):
        """Waits until `is_ready()`; fails when the program ends before."""
        deadline = time.monotonic() + timeout
        while not is_ready():
            if not self.is_alive():
                raise AssertionError("%s ended with %d:\n%s" % (
                    self.name, self.process.returncode, self.output[-4000:]))
            if time.monotonic() > deadline:
                raise AssertionError("%s is not ready:\n%s" % (self.name, self.output[-4000:]))
            time.sleep(0.02)

    def wait_end(self, timeout=SECONDS):
        """The exit code; when it does not come in time the program is killed and the test fails."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("%s did not end:\n%s" % (self.name, self.output[-4000:])) from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._drained():
            self.process.stdout.close()

    def _drained(self):
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, 5.0)
