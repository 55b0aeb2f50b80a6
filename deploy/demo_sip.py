"""The SIP that deploy/demo speaks itself: a caller that plays a whole call, and the server of another domain that is
called. Just enough of RFC 3261 for one call at a time without loss."""

import re
import socket
import ssl
import threading
import time

SECONDS = 10.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"


class Message:
    """One message; header names are lower case, order is kept."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start_line, *lines = head.split("\r\n")
        fields = (line.partition(":") for line in lines)
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in fields]

    @property
    def status(self):
        return int(self.start_line.split(" ")[1]) if self.start_line.startswith("SIP/2.0 ") else None

    @property
    def method(self):
        return self.start_line.split(" ")[0]

    def all(self, name):
        return [value for known, value in self.headers if known == name]

    def header(self, name):
        return (self.all(name) or [""])[0]

    def routes(self):
        """Record-Route values, whether on a line each or in a list; no URI of ours holds a comma."""
        return [value.strip() for line in self.all("record-route") for value in line.split(",")]


def uri_in(value):
    """The URI of a name-addr."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value


class Stream:
    """Messages over a TLS connection."""

    transport = "TLS"

    def __init__(self, connection):
        self._connection = connection
        self._unread = b""

    def send(self, text):
        self._connection.sendall(text.encode())

    def receive(self):
        """The next message, None when the connection has ended."""
        while True:
            self._unread = self._unread.lstrip(b"\r\n")
            head, found, rest = self._unread.partition(b"\r\n\r\n")
            if found:
                length = re.search(rb"(?im)^content-length\s*:\s*(\d+)", head)
                size = int(length.group(1)) if length else 0
                if len(rest) >= size:
                    self._unread = rest[size:]
                    return Message((head + found + rest[:size]).decode(errors="replace"))
            data = self._connection.recv(65536)
            if not data:
                return None
            self._unread += data


class Datagrams:
    """Messages over UDP with one far end."""

    transport = "UDP"

    def __init__(self, connected_socket):
        self._socket = connected_socket

    def send(self, text):
        self._socket.send(text.encode())

    def receive(self):
        return Message(self._socket.recv(65536).decode(errors="replace"))


class Call:
    """Plays one call as the caller: INVITE, and what follows from its answer. `steps` says what went over the wire, in
    order, as (arrow, start line)."""

    def __init__(self, wire, host, caller, called, name, headers=()):
        """`headers` are lines that INVITE has besides."""
        self._wire, self._host, self._caller, self._called, self._name = wire, host, caller, called, name
        self._headers = list(headers)
        self._to_tag = ""
        self.steps = []
        self.answer = None   # The final response to INVITE,
        self.goodbye = None  # and to BYE.

    def play(self):
        self._send("INVITE", 1, self._called, [], SDP)
        self.answer = self._final("INVITE")
        self._to_tag = self.answer.header("to").partition(";tag=")[2]
        if self.answer.status >= 300:
            self._send("ACK", 1, self._called, [])
            return self
        target = uri_in(self.answer.header("contact"))
        routes = list(reversed(self.answer.routes()))
        self._send("ACK", 1, target, routes)
        self._send("BYE", 2, target, routes)
        self.goodbye = self._final("BYE")
        return self

    @property
    def statuses(self):
        """What came for the INVITE, such as [100, 180, 200]."""
        return [int(line.split(" ")[1]) for arrow, line in self.steps if arrow == "<-" and line.startswith("SIP/2.0 ")]

    def _send(self, method, number, uri, routes, body=""):
        # The ACK of a refusal belongs to the transaction of the INVITE (RFC 3261 §17.1.1.3).
        refused = self.answer is not None and self.answer.status >= 300
        branch = "z9hG4bK-%s-%s" % (self._name, "INVITE" if refused else method)
        lines = ["%s %s SIP/2.0" % (method, uri),
                 "Via: SIP/2.0/%s %s;rport;branch=%s" % (self._wire.transport, self._host, branch),
                 "Max-Forwards: 70"]
        lines += ["Route: " + route for route in routes]
        lines += ["From: <%s>;tag=%s" % (self._caller, self._name),
                  "To: <%s>%s" % (self._called, ";tag=" + self._to_tag if self._to_tag else ""),
                  "Call-ID: %s@%s" % (self._name, self._host.partition(":")[0]),
                  "CSeq: %d %s" % (number, method)]
        if method == "INVITE":
            user = self._caller.partition(":")[2].partition("@")[0]
            lines += [*self._headers,
                      "Contact: <sip:%s@%s;transport=%s>" % (user, self._host, self._wire.transport.lower()),
                      "Content-Type: application/sdp"]
        lines.append("Content-Length: %d" % len(body))
        self.steps.append(("->", lines[0]))
        self._wire.send("\r\n".join(lines) + "\r\n\r\n" + body)

    def _final(self, method):
        while True:
            response = self._wire.receive()
            if response is None:
                raise OSError("the connection ended before the answer to %s" % method)
            if response.status is None or not response.header("cseq").endswith(" " + method):
                continue
            self.steps.append(("<-", response.start_line))
            if response.status >= 200:
                return response


class Callee:
    """The server of another domain: TLS, wants a certificate, rings, answers, and lets itself be hung up."""

    def __init__(self, domain, certificate, key, trusted_ca):
        self._domain = domain
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._context.load_verify_locations(trusted_ca)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests = []  # Every request that came.
        self.peers = []     # The subjectAltNames of the certificates that connected.
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_for(self, method):
        """Whether a request of that method came."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if any(request.method == method for request in self.requests):
                return True
            time.sleep(0.02)
        return False

    def close(self):
        self._socket.close()

    def _accept(self):
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        try:
            with self._context.wrap_socket(plain, server_side=True) as connection:
                self.peers += [value for _, value in connection.getpeercert().get("subjectAltName", ())]
                wire = Stream(connection)
                while (request := wire.receive()) is not None:
                    if request.status is None:
                        self.requests.append(request)
                        self._answer(wire, request)
        except (OSError, ssl.SSLError):
            pass  # Who does not like our certificate goes away; what they then say is what is shown.

    def _answer(self, wire, request):
        if request.method == "ACK":
            return
        if request.method == "INVITE":
            wire.send(self._response(request, "180 Ringing"))
        wire.send(self._response(request, "200 OK"))

    def _response(self, request, status):
        lines = ["SIP/2.0 " + status]
        for name in ("via", "record-route", "from", "to", "call-id", "cseq"):
            for value in request.all(name):
                tag = ";tag=callee" if name == "to" and ";tag=" not in value else ""
                lines.append("%s: %s%s" % (name.title(), value, tag))
        if request.method == "INVITE":
            lines.append("Contact: <sip:carol@%s;transport=tls>" % self._domain)
        return "\r\n".join(lines + ["Content-Length: 0"]) + "\r\n\r\n"
