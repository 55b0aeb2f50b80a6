"""baresip, a SIP telephone, without screen and sound: the configuration that deploy/interop/baresip ships, on other
ports, controlled by its ctrl_tcp module (JSON in netstrings)."""
import json
import os
import re
import shutil
import socket
import threading
import time

from . import profiles
from .edge import free_port
from .programs import Program, find

SECONDS = 45.0


class Baresip:
    """One telephone; starts when made, and registers by itself. `events` holds what it said about itself, in order:
    CALL_RINGING, CALL_ESTABLISHED and so on, each a dictionary."""

    _count = 0

    def __init__(self, folder, edge_port, dns, certificate, trusted_ca, user="alice", answers="auto", contact="bob"):
        self._begin(folder, user)
        control = free_port()
        profiles.copy("baresip", self._folder, {
            "config": {"127.0.0.1:5066": "127.0.0.1:%d" % free_port(), "127.0.0.1:53": dns.address,
                       "127.0.0.1:4444": "127.0.0.1:%d" % control,
                       "alice.pem": os.path.join(self._folder, "alice.pem"),
                       " ca.pem": " " + os.path.join(self._folder, "ca.pem")},
            "accounts": {"sip:alice@": "sip:%s@" % user, "edge.example:5061": "edge.example:%d" % edge_port,
                         "answermode=auto": "answermode=" + answers}})
        # The only contact, and so the one that "message" writes to.
        with open(os.path.join(self._folder, "contacts"), "w", encoding="ascii") as contacts:
            contacts.write('"Contact" <sip:%s@edge.example>\n' % contact)
        with open(os.path.join(self._folder, "alice.pem"), "wb") as bundle:
            for path in (certificate.chain, certificate.key):
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, bundle)
        shutil.copy(trusted_ca, os.path.join(self._folder, "ca.pem"))
        self._run(control)

    def _begin(self, folder, user):
        Baresip._count += 1
        self.user = user
        self.uri = "sip:%s@edge.example" % user
        self.events = []
        self._answers = {}
        self._tokens = 0
        self._changed = threading.Condition()
        self._folder = os.path.join(folder, "baresip-%d" % Baresip._count)

    def _run(self, control):
        self._program = Program([find("baresip"), "-4", "-s", "-f", self._folder], self._folder, "baresip")
        self._program.wait_for("baresip is ready")
        self._control = socket.create_connection(("127.0.0.1", control), timeout=SECONDS)
        self._control.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def output(self):
        """What it printed; with every message that it sent or received."""
        return self._program.output

    def stop(self):
        self._control.close()
        self._program.stop()

    def kill(self):
        """Ends it as a power failure would: nothing is deregistered, no call is hung up."""
        self._control.close()
        self._program.kill()

    def command(self, name, parameters="", timeout=SECONDS):
        """Runs a command of its menu and returns what that printed."""
        self._tokens += 1
        token = str(self._tokens)
        text = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))
        with self._changed:
            if not self._changed.wait_for(lambda: token in self._answers, timeout):
                raise AssertionError("baresip did not answer %s %s:\n%s" % (name, parameters, self.output[-4000:]))
            answer = self._answers.pop(token)
        if not answer["ok"]:
            raise AssertionError("baresip refused %s %s: %s" % (name, parameters, answer["data"]))
        return answer["data"]

    def wait_event(self, kind, start=0, timeout=SECONDS):
        """Waits for an event of that type among those from number `start` on; returns it."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self.events[start:]:
                    if event["type"] == kind:
                        return event
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("baresip had no %s but %s\n%s" % (
                        kind, [event["type"] for event in self.events[start:]], self.output[-6000:]))
                self._changed.wait(left)

    def wait_output(self, pattern, start=0, timeout=SECONDS):
        """Waits until what it prints from character `start` on matches; returns the match."""
        return self._program.wait_for(pattern, start, timeout)

    def wait_registered(self):
        # Not the event: baresip registers at once, perhaps before there is a connection to tell it on.
        return self.wait_output(r"(?m)^%s: .*\} 200 OK " % re.escape(self.uri.removeprefix("sip:")))

    def _read(self):
        unread = b""
        while True:
            try:
                data = self._control.recv(65536)
            except OSError:
                return
            if not data:
                return
            unread += data
            while b":" in unread:
                length, _, rest = unread.partition(b":")
                end = int(length)
                if len(rest) <= end:
                    break
                self._heard(json.loads(rest[:end].decode(errors="replace")))
                unread = rest[end + 1:]  # A comma ends a netstring.

    def _heard(self, heard):
        with self._changed:
            if heard.get("event"):
                self.events.append(heard)
            elif heard.get("response"):
                self._answers[heard.get("token")] = heard
            self._changed.notify_all()


class BaresipServer(Baresip):
    """One that is no telephone of the edge but a server behind it, in the clear on TCP (and UDP) at `port`. It takes
    what is for `user` at edge.example. A call rings until the command "accept"; meanwhile it is busy."""

    def __init__(self, folder, user="bob"):
        self._begin(folder, user)
        self.port, control = free_port(), free_port()
        profiles.copy("baresip", self._folder, {
            "config": {"127.0.0.1:5066": "127.0.0.1:%d" % self.port, "127.0.0.1:4444": "127.0.0.1:%d" % control,
                       "sip_certificate     alice.pem\n": "", "sip_cafile          ca.pem\n": "",
                       "dns_server          127.0.0.1:53\n": "", "call_max_calls      4": "call_max_calls 1"}})
        with open(os.path.join(self._folder, "accounts"), "w", encoding="ascii") as accounts:
            accounts.write("<%s;transport=tcp>;regint=0;answermode=manual;audio_codecs=pcmu\n" % self.uri)
        self._run(control)
