"""User agents that a test plays by hand: telephones and servers of other domains outside, over TLS, and telephones
inside, over UDP."""
import re
import socket
import time

from . import tls_client
from .loop import SECONDS, Unanswered
from .messages import Message, request, response_to, unique, via_parameter

_TARGETED = ("INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "UPDATE", "REGISTER")  # What carries a Contact.


def listed(message, name):
    """The values of a header, whether on lines of their own or in a list."""
    return [value.strip() for line in message.all(name) for value in re.findall(r"(?:<[^>]*>|[^,<])+", line)]


def uri_in(value):
    """The URI of a name-addr."""
    return re.search(r"<([^>]*)>", value).group(1)


class Agent:
    """Base. `received` holds what came and was not asked for yet; `uri` is its address-of-record."""

    transport = "TLS"

    def __init__(self, loop, uri, contact):
        self.loop, self.uri, self.contact = loop, uri, contact
        self._sent_by = re.sub(r"^.*@|;.*$", "", contact)
        self.received = []
        self.knows_nothing = False  # Answers 481 to all that it is asked, and forgets that.
        self._answered = {}  # The answer to each request: what is repeated gets it again.
        loop.add(self)

    def __repr__(self):
        return self.uri

    def request(self, method, uri, to=None, sender=None, routes=(), headers=(), **parts):
        """A request of ours. `sender` and `to` are whole header values; by default our own with a tag, and `uri`."""
        branch = "z9hG4bK" + unique("a")
        lines = ["Route: " + value for value in routes]
        if method in _TARGETED and not any(line.startswith("Contact:") for line in headers):
            lines.append("Contact: <%s>" % self.contact)
        return request(method, uri=uri, sender=sender or "<%s>;tag=%s" % (self.uri, unique("f")), to=to or "<%s>" % uri,
                       via="SIP/2.0/%s %s;rport;branch=%s" % (self.transport, self._sent_by, branch), branch=branch,
                       headers=lines + list(headers), omit=("contact",), **parts)

    def final(self, sent, timeout=SECONDS):
        """Waits for the final response to a request of ours; provisional ones before it stay in `received`."""
        return self._take(lambda m: _answers(m, sent) and m.status >= 200, "no answer to %s at %s" % (
            sent.method, self), timeout)

    def provisional(self, sent, status, timeout=SECONDS):
        return self._take(lambda m: _answers(m, sent) and m.status == status, "no %d at %s" % (status, self), timeout)

    def ask(self, sent, connection=None, timeout=SECONDS):
        """Sends a request and returns its final response."""
        self.send(sent.bytes, connection)
        return self.final(sent, timeout)

    def ask_in_vain(self, sent, others, connection=None, timeout=SECONDS):
        """As ask(), and fails as soon as anything is asked of one of `others`."""
        self.send(sent.bytes, connection)
        self.loop.until(lambda: self._is_answered(sent) or any(other.requests() for other in others),
                        "no answer to %s at %s" % (sent.method, self), timeout)
        came = [(other, message) for other in others for message in other.requests()]
        for other, message in came:
            other.received.remove(message)
            if message.method != "ACK":
                other.answer(message, 481)
        if came:
            raise AssertionError("%s got %r" % (came[0][0], came[0][1].raw))
        return self.final(sent)

    def delivered(self, sent, other, timeout=SECONDS):
        """Waits until a request that we sent has come to `other`, and returns it there; fails as soon as it is answered
        instead."""
        self.loop.until(lambda: other.received_of(sent) or self._is_answered(sent),
                        "%s of %s did not come to %s" % (sent.method, self, other), timeout)
        message = other.received_of(sent)
        if message is None:
            raise AssertionError("%s is answered %r" % (sent.method, self.final(sent).raw))
        other.received.remove(message)
        return message

    def _is_answered(self, sent):
        return any(_answers(m, sent) and m.status >= 200 for m in self.received)

    def received_of(self, sent):
        """That request of another agent, if it has come to us."""
        return next((m for m in self.requests() if (m.method, m.call_id) == (sent.method, sent.call_id)), None)

    def expect(self, method, call_id=None, timeout=SECONDS):
        """Waits for a request."""
        return self._take(lambda m: not m.is_response and m.method == method and call_id in (None, m.call_id),
                          "no %s of %s at %s" % (method, call_id, self), timeout)

    def requests(self):
        """What was asked of us and not expected."""
        return [message for message in self.received if not message.is_response]

    def answer(self, message, status, reason="Whatever", tag="", record_routes=None):
        """Answers a request where it came from; one that may begin a dialog with its Record-Route, or with another."""
        lines = []
        if message.method in ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY"):
            kept = listed(message, "record-route") if record_routes is None else record_routes
            lines += ["Record-Route: " + value for value in kept]
            if message.method != "INVITE" or status < 200:
                lines.append("Contact: <%s>" % self.contact)
        data = response_to(message, status, reason, tag=tag or "of-" + unique("t"), headers=lines, contact=self.contact)
        self._answered[_transaction(message)] = data
        self.reply(data, message)

    def _take(self, wanted, what, timeout):
        def found():
            return next((n + 1 for n, message in enumerate(self.received) if wanted(message)), 0)
        return self.received.pop(self.loop.until(found, what, timeout) - 1)

    def _arrived(self, message):
        if message.is_response and message.status == 100:
            return
        if message.method == "ACK" and (_transaction(message)[0], "INVITE") in self._answered:
            return  # Of a refusal: it belongs to the transaction of the INVITE (RFC 3261 §17.1.1.3).
        if not message.is_response and message.method != "ACK":
            transaction = _transaction(message)
            if transaction in self._answered:
                if self._answered[transaction] is not None:
                    self.reply(self._answered[transaction], message)
                return
            self._answered[transaction] = None
            if self.knows_nothing:
                return self.answer(message, 481)
        self.received.append(message)


def _transaction(message):
    return via_parameter(message.vias()[0], "branch"), message.method


def _answers(message, sent):
    return message.is_response and via_parameter(message.vias()[0], "branch") == sent.branch and (
        message.header("cseq").endswith(" " + sent.method))


class Outside(Agent):
    """A telephone, or the server of a domain: connections over TLS with a certificate, and a listener if it has one."""

    def __init__(self, loop, authority, certificate, uri, contact=None, port=None):
        super().__init__(loop, uri, contact or "%s@phone.invalid:5061;transport=tls" % uri.partition("@")[0])
        self.authority, self.certificate = authority, certificate
        self.connections = []  # Open ones, the newest last; requests leave by that.
        self.path = None       # What the edge added to our last REGISTER.
        self.accepted = 0      # Connections that were opened to us.
        self.listener = None
        if port is not None:
            self.listen(port)

    def listen(self, port):
        """On every address of this machine, so that a test sees every connection."""
        self.listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def connect(self, edge, certificate=None, source=None):
        """Opens a connection, and knows that the edge serves it."""
        context = tls_client.context(self.authority, certificate or self.certificate)
        made = tls_client.TlsClient(edge.port, context, source=source)
        self.connections.append(made)
        if not made.is_open():
            raise AssertionError("the edge does not serve %s" % self)
        return made

    def disconnect(self):
        connections, self.connections = self.connections, []
        for connection in connections:
            connection.close_quietly()

    def reconnect(self, edge, certificate=None, source=None):
        """Loses every connection, waits until the edge knows, and opens one."""
        before = edge.metrics().value("connections_active", listener="federation")
        lost = len(self.connections)
        while self.connections:
            self.connections.pop().reset()
        edge.wait_metric("connections_active", lambda value: value <= before - lost, listener="federation")
        return self.connect(edge, certificate, source)

    def stop(self):
        self.loop.remove(self)
        self.disconnect()
        if self.listener is not None:
            self.listener.close()

    def register(self, headers=()):
        """Registers our Contact; the answer."""
        answer = self.ask(self.request("REGISTER", "sip:edge.example", to="<%s>" % self.uri, headers=[
            "Supported: path", "Expires: 600", *headers]))
        self.path = answer.header("path")
        return answer

    def send(self, data, connection=None):
        """By that connection, or by our newest when it is gone."""
        if not self.connections:
            raise AssertionError("%s has no connection" % self)
        (connection if connection in self.connections else self.connections[-1]).send(data)

    def reply(self, data, message):
        self.send(data, message.origin)

    def sockets(self):
        return [one.socket for one in self.connections] + ([self.listener] if self.listener is not None else [])

    def read(self, ready):
        if ready is self.listener:
            return self._accept()
        connection = next((one for one in self.connections if one.socket is ready), None)
        patience = 0.005  # For the rest of a record; then for what is buffered already.
        while connection is not None:
            try:
                message = connection.receive(patience)
            except tls_client.Silence:
                return
            except tls_client.Closed:
                self.connections.remove(connection)
                connection.close_quietly()
                return
            patience = 0.0
            message.origin = connection
            self._arrived(message)

    def _accept(self):
        plain, _ = self.listener.accept()
        self.accepted += 1
        try:
            self.connections.append(tls_client.Accepted(plain, tls_client.server_context(
                self.authority, self.certificate)))
        except (tls_client.Closed, tls_client.Silence):
            return plain.close()
        self.read(plain)  # What came with the end of the handshake.


class Inside(Agent):
    """A telephone inside, on UDP; `towards` is the (host, port) that its requests go to."""

    transport = "UDP"

    def __init__(self, loop, uri, towards, port=0, host="127.0.0.1"):
        self.towards = towards
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((host, port))
        self.address = "%s:%d" % self._socket.getsockname()
        super().__init__(loop, uri, "%s@%s" % (uri.partition("@")[0], self.address))

    def stop(self):
        self.loop.remove(self)
        self._socket.close()

    def register(self):
        return self.bind(self.uri, self.contact)

    def bind(self, uri, contact, path=None):
        """Registers any Contact for any address, as the administrator of the registrar may."""
        return self.ask(self.request("REGISTER", "sip:edge.example", to="<%s>" % uri, headers=[
            "Contact: <%s>" % contact, "Expires: 600", *(["Path: " + path] if path else [])]))

    def send(self, data, _=None):
        self._socket.sendto(data, self.towards)

    def ask(self, sent, _=None, timeout=SECONDS):
        """As the others', and sends it again every second until something comes."""
        deadline = time.monotonic() + timeout
        while True:
            self.send(sent.bytes)
            try:
                return self.final(sent, min(1.0, deadline - time.monotonic()))
            except Unanswered:
                if time.monotonic() > deadline - 1.0:
                    raise

    def reply(self, data, message):
        self._socket.sendto(data, message.origin)

    def sockets(self):
        return [self._socket]

    def read(self, _):
        data, origin = self._socket.recvfrom(65536)
        self._arrived(Message(data, origin))
