"""Dialogs of user agents, as RFC 3261 §12 has them: from the first messages come names, route set and remote target."""
from .user_agents import listed, uri_in


class Dialog:
    """One side of a dialog (RFC 3261 §12), as `caller_of` or `callee_of` makes it of its first messages."""

    def __init__(self, agent, message, local, remote, routes):
        self.agent, self.call_id = agent, message.call_id
        self.local, self.remote = local, remote  # From and To of our requests, with tags.
        self.target, self.routes = uri_in(message.header("contact")), list(routes)
        self.connection = message.origin         # Where our requests leave.
        self.cseq = 10

    def request(self, method, uri=None, routes=None, **parts):
        self.cseq += method != "ACK"
        parts.setdefault("sender", self.local)
        parts.setdefault("to", self.remote)
        parts.setdefault("cseq", self.cseq)
        return self.agent.request(method, uri or self.target, call_id=self.call_id,
                                  routes=self.routes if routes is None else routes, **parts)

    def send(self, method, **parts):
        """Sends a request, and returns it."""
        sent = self.request(method, **parts)
        self.agent.send(sent.bytes, self.connection)
        return sent


def caller_of(agent, response):
    """The dialog of an agent that began it and got `response`."""
    return Dialog(agent, response, response.header("from"), response.header("to"),
                  reversed(listed(response, "record-route")))


def callee_of(agent, received, tag):
    """The dialog of an agent that got `received` and answers it with `tag`."""
    local = received.header("to")
    return Dialog(agent, received, local if ";tag=" in local else "%s;tag=%s" % (local, tag), received.header("from"),
                  listed(received, "record-route"))
