"""SIP messages as a test sees them: requests it writes, and whatever came back or arrived at the next hop."""
import itertools
import os
import re

_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "l": "content-length", "c": "content-type",
            "m": "contact", "s": "subject", "k": "supported", "r": "refer-to", "b": "referred-by"}
_numbers = itertools.count(1)
_run = "%08x" % int.from_bytes(os.urandom(4), "big")


def unique(prefix):
    """A token that no other request of this run carries."""
    return "%s%s-%d" % (prefix, _run, next(_numbers))


class Message:
    """One parsed message. Header order is kept; names are canonical lower case; folds are joined by one space."""

    def __init__(self, raw, origin=None):
        self.raw = raw
        self.origin = origin  # Where the next hop must answer to.
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", errors="surrogateescape").split("\r\n")
        self.start_line = lines[0]
        self.headers = []
        for line in lines[1:]:
            if line[:1] in (" ", "\t") and self.headers:
                name, value = self.headers[-1]
                self.headers[-1] = (name, value + " " + line.strip())
                continue
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((_COMPACT.get(name, name), value.strip()))

    @property
    def is_response(self):
        return self.start_line.startswith("SIP/2.0 ")

    @property
    def status(self):
        return int(self.start_line.split(" ", 2)[1])

    @property
    def reason(self):
        return self.start_line.split(" ", 2)[2]

    @property
    def method(self):
        return self.start_line.split(" ", 1)[0]

    @property
    def request_uri(self):
        return self.start_line.split(" ")[1]

    @property
    def call_id(self):
        return self.header("call-id")

    def all(self, name):
        return [value for known, value in self.headers if known == name.lower()]

    def header(self, name):
        """The only value of a header, or None. Two values are an error of whoever wrote the message."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError("%d times %s in %r" % (len(values), name, self.raw))
        return values[0] if values else None

    def vias(self):
        """Every Via value, top first, whether written on a line of its own or in a list."""
        return [via.strip() for line in self.all("via") for via in line.split(",")]

    def __repr__(self):
        return "<%s | %s>" % (self.start_line, self.call_id)


def via_parameter(via, name):
    """The value of a Via parameter; "" for one without value, None if absent."""
    found = re.search(r";\s*%s\s*(?:=\s*([^;\s,]+))?(?=[;\s,]|$)" % re.escape(name), via, re.IGNORECASE)
    return None if found is None else (found.group(1) or "")


class Request:
    """A request to send: `bytes`, and the parts a test asks for again."""

    def __init__(self, data, method, call_id, branch):
        self.bytes = data
        self.method = method
        self.call_id = call_id
        self.branch = branch


def request(method="MESSAGE", uri="sip:bob@edge.example", sender="<sip:alice@a.example>;tag=1",
            to="<sip:bob@edge.example>", call_id=None, branch=None, cseq=1, max_forwards="70", via=None, headers=(),
            body=b"", omit=(), from_lines=None, version="SIP/2.0", content_length=None, cseq_method=None):
    """Writes a request. `from_lines` replaces the From line by raw bytes; `omit` names lines left out."""
    call_id = call_id or unique("call-") + "@a.example"
    branch = branch or "z9hG4bK" + unique("t")
    if isinstance(body, str):
        body = body.encode()
    lines = [("via", "Via: " + (via or "SIP/2.0/TLS client.a.example:5061;branch=%s" % branch)),
             ("max-forwards", "Max-Forwards: %s" % max_forwards),
             ("from", None if from_lines is not None else "From: " + sender),
             ("to", "To: " + to),
             ("call-id", "Call-ID: " + call_id),
             ("cseq", "CSeq: %s %s" % (cseq, cseq_method or method)),
             ("contact", "Contact: <sip:alice@client.a.example:5061;transport=tls>")]
    out = b"%s %s %s\r\n" % (method.encode(), uri.encode("utf-8", "surrogateescape"), version.encode())
    for name, line in lines:
        if name in omit:
            continue
        if name == "from" and from_lines is not None:
            out += from_lines + b"\r\n" if from_lines else b""
        else:
            out += line.encode("utf-8", "surrogateescape") + b"\r\n"
    for line in headers:
        out += (line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")) + b"\r\n"
    if "content-length" not in omit:
        out += b"Content-Length: %s\r\n" % str(len(body) if content_length is None else content_length).encode()
    return Request(out + b"\r\n" + body, method, call_id, branch)


def _to_with_tag(value, tag):
    has_tag = re.search(r";\s*tag\s*=", value, re.IGNORECASE)
    return value if not tag or has_tag else "%s;tag=%s" % (value, tag)


def response_to(message, status, reason="Whatever", tag="uas", headers=(), body=b"", contact="sip:bob@edge.example"):
    """What a server of RFC 3261 §8.2.6.2 answers to `message`; `contact` of a server that takes a call."""
    lines = ["SIP/2.0 %d %s" % (status, reason)]
    lines += ["Via: " + via for via in message.all("via")]
    lines.append("From: " + message.header("from"))
    lines.append("To: " + _to_with_tag(message.header("to"), tag if status > 100 else None))
    lines += ["Call-ID: " + message.call_id, "CSeq: " + message.header("cseq")]
    if message.method == "INVITE" and 200 <= status < 300:
        lines.append("Contact: <%s>" % contact)
    lines += list(headers)
    lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def ack_for(invite, response):
    """The ACK of RFC 3261 §17.1.1.3 for a final response above 299: same branch, the response's To."""
    return request("ACK", call_id=invite.call_id, branch=invite.branch, to=response.header("to"))


def cancel_for(invite, **changes):
    """The CANCEL of RFC 3261 §9.1: same branch as its INVITE."""
    return request("CANCEL", call_id=invite.call_id, branch=invite.branch, **changes)


class Framer:
    """Cuts a stream into messages by Content-Length, as the far end of every connection in these tests."""

    def __init__(self):
        self._unread = b""
        self.keep_alives = 0  # CRLF between messages: what a server answers to a ping (RFC 5626 §4.4.1).

    def feed(self, data):
        self._unread += data

    @property
    def unread(self):
        return self._unread

    def next(self):
        """The bytes of the next whole message, or None."""
        while self._unread.startswith(b"\r\n"):
            self._unread = self._unread[2:]
            self.keep_alives += 1
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = re.search(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)", self._unread[:end + 2], re.IGNORECASE)
        size = end + 4 + (int(length.group(1)) if length else 0)
        if len(self._unread) < size:
            return None
        message, self._unread = self._unread[:size], self._unread[size:]
        return message
