"""Stages on which a test plays every telephone and every other domain by hand: see user_agents."""
import itertools
import os

from . import edge as edge_process
from . import profiles, scene
from .dialog import callee_of, caller_of
from .edge import free_port
from .kamailio_scene import KamailioScene
from .loop import Loop, NoNames, Unanswered
from .messages import unique
from .user_agents import Inside, Outside

A, B = "a.example", "b.example"
_numbers = itertools.count(1)


class DialogScene(scene.SceneTest):
    """Base: users of the edge with certificates of their own, and two domains. dave@a.example and carol@b.example are
    called at configured next hops; DNS knows no name."""

    next_hops = 0

    @classmethod
    def prepare(cls):
        cls.loop = Loop()
        cls.dns = NoNames(cls.loop)
        cls.addClassCleanup(cls.dns.stop)
        super().prepare()
        cls.ports = {A: free_port(), B: free_port()}
        cls.dave, cls.carol = (Outside(cls.loop, cls.authority, cls.authority.leaf("URI:sip:" + domain), "sip:%s@%s" % (
            user, domain), port=cls.ports[domain]) for user, domain in (("dave", A), ("carol", B)))
        for one in (cls.dave, cls.carol):
            cls.addClassCleanup(one.stop)

    @classmethod
    def usual_config(cls):
        config = edge_process.merge(super().usual_config(), {
            "dns": {"servers": [cls.dns.address]}, "timeouts": {"drain": "0s"}})
        config["next-hop"] += [{"name": domain, "zone": "outside", "targets": ["tls:127.0.0.1:%d" % port],
                                "identity": domain} for domain, port in cls.ports.items()]
        config["route"] = [{"zone": "inside", "domain": domain, "next-hop": domain} for domain in cls.ports]
        return config

    def setUp(self):
        super().setUp()
        self.loop.serve()
        for one in (self.dave, self.carol):
            one.received.clear()
        self.dns.asked.clear()
        self.through = []

    def party(self, uri, *identities, edge=None, **how):
        """A party with a certificate of these identities, connected to the edge."""
        made = Outside(self.loop, self.authority, self.authority.leaf(*identities), uri)
        self.addCleanup(made.stop)
        made.connect(edge or self.edge, **how)
        return made

    def restart(self, edge):
        edge.stop()
        edge.start()

    def alice(self, edge=None, **how):
        """A caller of a.example."""
        return self.party("sip:alice@" + A, "URI:sip:" + A, edge=edge, **how)

    def call(self, caller, uri, callee, **parts):
        """A call that is answered: the dialogs of its two sides."""
        sent = caller.request("INVITE", uri, **parts)
        caller.send(sent.bytes)
        invite, tag = caller.delivered(sent, callee), unique("callee")
        callee.answer(invite, 180, "Ringing", tag=tag)
        caller.provisional(sent, 180)
        return self.answered(caller, sent, callee, invite, tag)

    def answered(self, caller, sent, callee, invite, tag):
        callee.answer(invite, 200, "OK", tag=tag)
        response = caller.final(sent)
        self.assertEqual(response.status, 200, response.raw)
        ours = caller_of(caller, response)
        ack = ours.send("ACK", cseq=1)
        caller.delivered(ack, callee)
        return ours, callee_of(callee, invite, tag)

    def exchange(self, one, other, method, **parts):
        """A request of `one` in their dialog, which `other` gets and accepts; what it got."""
        sent = one.send(method, **parts)
        seen = one.agent.delivered(sent, other.agent)
        self.assertEqual(seen.all("route"), [])
        other.agent.answer(seen, 200, "OK")
        answer = one.agent.final(sent)
        self.assertEqual(answer.status, 200, answer.raw)
        if method == "INVITE":
            one.agent.delivered(one.send("ACK", cseq=one.cseq), other.agent)
        return seen

    def hold(self, one, other):
        return self.exchange(one, other, "INVITE")

    def hang_up(self, one, other):
        return self.exchange(one, other, "BYE")

    def attempt(self, agent, sent, others, status=403, phrase=None, connection=None):
        """Sends a request that must be refused and come to none of `others`. What is not refused so is kept for
        assert_none_got_through(); what is not answered at all fails at once."""
        try:
            answer = agent.ask_in_vain(sent, others, connection)
            statuses = (status,) if isinstance(status, int) else status
            if answer.status not in statuses or phrase not in (None, answer.reason):
                raise AssertionError(answer.raw)
        except Unanswered:
            raise
        except AssertionError as error:
            self.through.append("%s\n-> %s" % (sent.bytes.decode(), error))

    def assert_none_got_through(self):
        through, self.through = self.through, []
        self.assertEqual(len(through), 0, "the first of them:\n" + "\n".join(through[:1]))


class KamailioDialogScene(DialogScene, KamailioScene):
    """With the profile of deploy/interop/kamailio inside. `record_routed` are the methods that Kamailio Record-Routes,
    if not those of the profile; with `instances = 2` there is a `sibling` in front of the same Kamailio."""

    record_routed = None
    instances = 1

    @classmethod
    def prepare(cls):
        super().prepare()
        if cls.instances == 2:
            listeners = cls.profile(free_port(), free_port())["listener"]
            cls.sibling = cls.new_edge({"edge": {"admin": "127.0.0.1:%d" % free_port()}, "listener": listeners})

    @classmethod
    def kamailio_config(cls):
        if cls.record_routed is None:
            return None
        folder = os.path.join(cls.folder, "kamailio-profile")
        profiles.copy("kamailio", folder, {"kamailio.cfg": {'"INVITE|SUBSCRIBE|REFER|NOTIFY"': '"%s"' % (
            cls.record_routed)}})
        return os.path.join(folder, "kamailio.cfg")

    def user(self, name, edge=None, register=True):
        """A telephone outside that has a certificate of its user."""
        uri = "sip:%s%d@edge.example" % (name, next(_numbers))
        phone = self.party(uri, "URI:" + uri, edge=edge)
        if register:
            self.assertEqual(phone.register().status, 200)
        return phone

    def extension(self, name):
        """A telephone inside, registered at Kamailio."""
        phone = Inside(self.loop, "sip:%s%d@edge.example" % (name, next(_numbers)), ("127.0.0.1", self.kamailio_port))
        self.addCleanup(phone.stop)
        self.assertEqual(phone.register().status, 200)
        return phone

    def forward(self, contact, path=None, edge=None):
        """A new number at Kamailio that leads to `contact`: by `path`, or to wherever the edge takes it."""
        desk = self.extension("desk")
        number = "sip:%d@edge.example" % (2000 + next(_numbers))
        path = path or "<sip:127.0.0.1:%d;lr>" % (edge or self.edge).listener_port("core")
        self.assertEqual(desk.bind(number, contact, path).status, 200)
        return number
