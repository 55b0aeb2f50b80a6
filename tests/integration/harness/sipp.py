"""SIPp as a caller or as the server that is called: one call through a scenario of tests/integration/scenarios."""
import csv
import os
import re

from . import messages
from .edge import free_port
from .programs import Program, find

SCENARIOS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenarios")
SECONDS = 45.0
_SEPARATOR = re.compile(rb"^-{20,} [\d-]+[ \t][\d:.]+\r?\n", re.MULTILINE)


class Sipp:
    """One run; starts when made and ends by itself after `calls` calls.

    `towards` is "host:port" of who is called; without, SIPp waits to be called. `keys` are the words that a scenario
    uses as [name]; `status` replaces STATUS in it, because SIPp takes no key where a response is expected."""

    _count = 0

    def __init__(self, folder, scenario, towards=None, transport="udp", host="127.0.0.1", port=None, calls=1, keys=None,
                 status=None, seconds=SECONDS):
        Sipp._count += 1
        self.scenario, self.transport, self.host, self.port = scenario, transport, host, port or free_port()
        self._seconds = seconds
        self._base = os.path.join(folder, "sipp-%d-%s" % (Sipp._count, scenario))
        with open(os.path.join(SCENARIOS, scenario + ".xml"), encoding="utf-8") as template:
            text = template.read()
        with open(self._base + ".xml", "w", encoding="utf-8") as out:
            out.write(text.replace("STATUS", str(status or "")))
        arguments = [find("sipp"), "-sf", self._base + ".xml", "-t", {"udp": "u1", "tcp": "t1"}[transport], "-i", host,
                     "-p", str(self.port), "-m", str(calls), "-nostdin", "-trace_msg", "-message_file",
                     self._base + ".messages", "-message_overwrite", "true", "-trace_err", "-error_file",
                     self._base + ".errors", "-trace_stat", "-stf", self._base + ".csv", "-timeout",
                     "%ds" % seconds, "-timeout_error"]
        for key, value in (keys or {}).items():
            arguments += ["-key", key, str(value)]
        if towards is not None:
            arguments += ["-l", "1", towards]
        self._program = Program(arguments, folder, "sipp " + scenario, {"TERM": "dumb"})
        if towards is None:
            self._wait_until_bound()

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    @property
    def target(self):
        """As a [[next-hop]] writes it."""
        return "%s:%s" % (self.transport, self.address)

    def _wait_until_bound(self):
        table = "/proc/%d/net/%s" % (self._program.process.pid, self.transport)
        row = " 0100007F:%04X " % self.port if self.host == "127.0.0.1" else ":%04X " % self.port

        def is_bound():
            with open(table, encoding="ascii") as sockets:
                return any(row in line and (self.transport == "udp" or " 0A " in line) for line in sockets)

        self._program.wait_until(is_bound)

    def exit_code(self):
        """Waits for its end; 0 when every call went as the scenario says."""
        return self._program.wait_end(self._seconds + 10.0)

    def wait(self):
        """Waits for its end; fails unless every call went as the scenario says."""
        code = self.exit_code()
        if code != 0:
            raise AssertionError("%s ended with %d\n%s\nmessages:\n%s" % (
                self._program.name, code, self._read(".errors").decode(errors="replace")[-2000:],
                self._read(".messages").decode(errors="replace")[-6000:]))
        return self

    def stop(self):
        self._program.stop()

    def statistics(self):
        """The last line of SIPp's own counters: {"SuccessfulCall(C)": "1", …}."""
        with open(self._base + ".csv", encoding="ascii", newline="") as counters:
            return list(csv.DictReader(counters, delimiter=";"))[-1]

    def received(self):
        """What came, as messages, in order."""
        return self._messages(b"message received")

    def sent(self):
        return self._messages(b"message sent")

    def _messages(self, kind):
        found = []
        for part in _SEPARATOR.split(self._read(".messages"))[1:]:
            head, _, rest = part.partition(b"\n\n")
            if kind in head:
                found.append(messages.Message(rest.strip(b"\n")))
        return found

    def _read(self, ending):
        try:
            with open(self._base + ending, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""
