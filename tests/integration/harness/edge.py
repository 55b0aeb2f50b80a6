"""The real binary as a child process: its configuration, its signals, its pages, its log."""
import copy
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

from .metrics import Metrics, fetch

START_SECONDS = 60.0  # A sanitizer build on a busy machine; a release build needs a fraction of one.
SECONDS = 20.0

# What a sanitizer prints when it found something; any of it fails the test whose edge said so.
_SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "CHECK failed")


def binary():
    """The binary under test."""
    path = os.environ.get("SALLYPORT_BINARY")
    if not path:
        sys.exit("SALLYPORT_BINARY must name the sallyport binary (for example build/sallyport)")
    return os.path.abspath(path)


def is_sanitized():
    """A sanitizer keeps memory that was freed; nothing can be said of such a process's size."""
    with open(binary(), "rb") as file:
        symbols = file.read()
    return b"__asan_init" in symbols or b"__tsan_init" in symbols


def environment():
    """The environment of every run of the binary: sanitizers must fail loudly."""
    made = dict(os.environ)
    made.setdefault("ASAN_OPTIONS", "exitcode=99:abort_on_error=0")
    made.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    made.setdefault("TSAN_OPTIONS", "exitcode=98:halt_on_error=0")
    return made


def run(*arguments, cwd=None, timeout=60.0):
    """Runs a subcommand to its end."""
    return subprocess.run([binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd,
                          timeout=timeout, env=environment(), text=True, errors="replace")


_ports = random.Random(os.getpid() ^ int(time.time() * 1000))
_reserved = []  # Locked files, one per port that was given out; the kernel lets go of them when we end.


def _reserve(port):
    """False: another test that runs at the same time has this port and may not have bound it yet."""
    folder = os.path.join(tempfile.gettempdir(), "sallyport-ports-%d" % os.getuid())
    os.makedirs(folder, exist_ok=True)
    lock = open(os.path.join(folder, str(port)), "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _reserved.append(lock)
    return True


def free_port():
    """A port free for TCP and UDP, below the ephemeral range so that no client of another test can take it.

    Always an even one: baresip listens for TLS on the port after its own.
    """
    while True:
        port = _ports.randrange(15000, 32000, 2)
        if not _reserve(port):
            continue
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
                    socket.socket(socket.AF_INET, socket.SOCK_STREAM) as next_tcp, \
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                tcp.bind(("127.0.0.1", port))
                next_tcp.bind(("127.0.0.1", port + 1))
                udp.bind(("127.0.0.1", port))
                return port
        except OSError:
            continue


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{ %s }" % ", ".join("%s = %s" % (key, toml_value(member)) for key, member in value.items())
    return "[%s]" % ", ".join(toml_value(member) for member in value)


def toml(config):
    """Writes {table: {key: value}} and {table: [{...}, ...]}; "tls.NAME" is a table name too."""
    lines = []
    for name, table in config.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(("[[%s]]" if isinstance(table, list) else "[%s]") % name)
            lines += ["%s = %s" % (key, toml_value(value)) for key, value in one.items() if value is not None]
            lines.append("")
    return "\n".join(lines)


def merge(base, changes):
    """`base` with `changes` over it, table by table; lists are replaced whole, None removes."""
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


class Edge:
    """One instance. `config` is what toml() takes; `ports` whatever the caller wants to remember."""

    _count = 0

    def __init__(self, folder, config, start=True):
        Edge._count += 1
        self.folder = folder
        self.config = config
        self.path = os.path.join(folder, "sallyport-%d.toml" % Edge._count)
        self.log_path = os.path.join(folder, "edge-%d.log" % Edge._count)
        self.process = None
        self.write_config()
        if start:
            self.start()

    @property
    def port(self):
        """Of the first outside listener."""
        return self.listener_port(self.config["listener"][0]["name"])

    @property
    def admin_port(self):
        return int(self.config["edge"]["admin"].rsplit(":", 1)[1])

    def listener_port(self, name):
        for listener in self.config["listener"]:
            if listener["name"] == name:
                return int(listener["address"].rsplit(":", 1)[1])
        raise KeyError(name)

    def write_config(self, text=None):
        """Writes the file as one that appears whole, as an operator's editor does."""
        scratch = self.path + ".new"
        with open(scratch, "w", encoding="utf-8") as out:
            out.write(toml(self.config) if text is None else text)
        os.replace(scratch, self.path)

    def start(self):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([binary(), "run", "--config", self.path], stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, env=environment(), cwd=self.folder)
        log.close()
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None:
                raise AssertionError("the edge ended at start with %d:\n%s" % (self.process.returncode, self.log()))
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the edge did not become ready:\n%s" % self.log())
            time.sleep(0.02)

    def page(self, path):
        return fetch(self.admin_port, path)

    def is_ready(self):
        try:
            return self.page("/readyz")[0] == 200
        except OSError:
            return False

    def is_alive(self):
        return self.process.poll() is None

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode(errors="replace")

    def log_lines(self):
        return [line for line in self.log().splitlines() if line.strip()]

    def events(self):
        """The log as JSON objects; fails on a line that is none."""
        return [json.loads(line) for line in self.log_lines()]

    def wait_event(self, event, timeout=SECONDS, **fields):
        """Waits until the log has such a line and returns its fields; of several the last."""
        deadline = time.monotonic() + timeout
        while True:
            lines = self.log_lines()[:-1] if not self.log().endswith("\n") else self.log_lines()
            told = [json.loads(line) for line in lines]
            found = [one for one in told
                     if one["event"] == event and all(one.get(key) == value for key, value in fields.items())]
            if found:
                return found[-1]
            if time.monotonic() > deadline:
                raise AssertionError("no %s with %r in the log; its last lines:\n%s" % (
                    event, fields, "\n".join(lines[-5:])))
            time.sleep(0.02)

    def metrics(self):
        status, text = self.page("/metrics")
        if status != 200:
            raise AssertionError("/metrics answered %d" % status)
        return Metrics(text)

    def wait_metric(self, name, wanted, timeout=SECONDS, **labels):
        """Waits until a metric is `wanted` (a number, or a predicate) and returns it."""
        agrees = wanted if callable(wanted) else lambda value: value == wanted
        deadline = time.monotonic() + timeout
        while True:
            metrics = self.metrics()
            value = metrics.value(name, **labels)
            if agrees(value):
                return value
            if time.monotonic() > deadline:
                raise AssertionError("%s%r is %r; all of it: %r" % (name, labels, value, metrics.nonzero(name)))
            time.sleep(0.02)

    def reload(self, changes=None, text=None, result="ok"):
        """Rewrites the configuration, sends SIGHUP and waits until the reload ended with `result`."""
        if changes is not None and text is None:
            wanted = merge(self.config, changes)
            if result == "ok":
                self.config = wanted
                self.write_config()
            else:
                self.write_config(toml(wanted))
        elif text is not None:
            self.write_config(text)
        before = self.metrics().value("config_reloads_total")
        self.process.send_signal(signal.SIGHUP)
        self.wait_metric("config_reloads_total", lambda value: value == before + 1)
        try:
            self.wait_metric("config_last_reload_successful", 1 if result == "ok" else 0, timeout=2.0)
        except AssertionError as error:
            log = "\n".join(self.log_lines()[-10:])
            raise AssertionError("the reload was to be %s:\n%s" % (result, log)) from error

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, timeout=SECONDS):
        """The exit code; checks that no sanitizer had anything to say."""
        code = self.process.wait(timeout)
        self.check_log()
        return code

    def check_log(self):
        log = self.log()
        for words in _SANITIZER_WORDS:
            if words in log:
                raise AssertionError("the edge reported:\n%s" % log[max(0, log.find(words) - 200):][:6000])

    def stop(self):
        """Ends the process however it can and complains if it did not end well."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(3.0)
            except subprocess.TimeoutExpired:
                self.terminate()
        try:
            code = self.wait_exit()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the edge did not end after two SIGTERM:\n%s" % self.log()[-3000:])
        if code not in (0, 3):
            raise AssertionError("the edge ended with %d:\n%s" % (code, self.log()[-3000:]))
