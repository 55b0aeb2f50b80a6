"""Attacks with what the edge writes into Record-Route and Path, through the profile of deploy/interop/kamailio. None of
it lets an outsider use another name, count as the inside, or make the edge dial a place of his choice. Mallory and Eve
have certificates of their own; what they send is SIP, and no test knows the form of a token."""
import itertools
import re

from harness import scene
from harness.dialog import callee_of, caller_of
from harness.dialog_scene import A, DialogScene, KamailioDialogScene
from harness.edge import free_port
from harness.loop import Sink
from harness.messages import unique
from harness.user_agents import Inside, listed, uri_in

NOT_COVERED = "From Not Covered By Certificate"
CEO = "sip:ceo@b.example"         # Of another domain: mallory wants to speak as this one,
OUR_CEO = "sip:ceo@edge.example"  # or as this one.
REFUSALS = range(400, 700)
METHODS = ("MESSAGE", "INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "INFO")
NEVER_EXCUSED = ("MESSAGE", "SUBSCRIBE")
_HEADERS = {"REFER": ["Refer-To: <sip:dora@b.example>"], "SUBSCRIBE": ["Event: presence"],
            "NOTIFY": ["Event: presence", "Subscription-State: active"]}


class SelfMadeDialog(KamailioDialogScene):
    """Base: mallory calls himself in the name of others, and has the Record-Route of that."""

    def setUp(self):
        super().setUp()
        self.mallory, self.bob = self.user("mallory"), self.user("bob")
        self.victims = [self.bob, self.mallory, self.carol, self.dave]

    def assert_bob_heard_nothing(self):
        """No attempt got through; and bob gets a message of frank's, the first of all that he gets."""
        self.assert_none_got_through()
        frank = self.user("frank", register=False)
        sent = frank.request("MESSAGE", self.bob.uri)
        frank.send(sent.bytes)
        self.loop.until(self.bob.requests, "nothing came to bob")
        self.assertEqual([m.call_id for m in self.bob.requests()], [sent.call_id])
        self.bob.answer(self.bob.expect("MESSAGE"), 200, "OK")
        self.assertEqual(frank.final(sent).status, 200)

    def call_oneself(self, to=CEO, method="INVITE", headers=(), caller=None):
        """A request to mallory with another name in To: Call-ID, From-tag, and the Record-Route with which it came."""
        caller, tag = caller or self.mallory, unique("T")
        self.mallory.knows_nothing = False
        sent = caller.request(method, self.mallory.uri, to="<%s>" % to, sender="<%s>;tag=%s" % (caller.uri, tag),
                              headers=[*headers, *_HEADERS.get(method, [])])
        caller.send(sent.bytes)
        came = caller.delivered(sent, self.mallory)
        self.assertEqual(came.header("to"), "<%s>" % to)
        self.mallory.answer(came, 486, "Busy Here")
        caller.final(sent)
        return sent.call_id, tag, listed(came, "record-route")

    def ours(self, routes):
        """Those of them that the edges have written, as (edge, value)."""
        places = {name: edge for edge in self.edges for name in (
            "edge.example:%d" % edge.port, "127.0.0.1:%d" % edge.listener_port("core"))}
        found = [(re.sub(r"^sips?:|;.*$", "", uri_in(value)).rpartition("@")[2], value) for value in routes]
        return [(places[place], value) for place, value in found if place in places]

    def mixes(self, routes, *more):
        """Route sets made of the Record-Route that came, of bob's address, and of `more` values."""
        values = [value for _, value in self.ours(routes)]
        self.assertEqual(len(values), 4, routes)
        o2, i2, i1, o1 = values
        server = [value for value in routes if value not in values]
        bob = "<%s;lr>" % self.bob.contact
        yield from ([o2], [i2], [i1], [o1], [o2, i2], [i2, o2], [i1, o1], [o1, i1], [o2, i2, o1], [o2, i2, i1, o1],
                    [o2, i2, *server], [o2, i2, *server, i1, o1], [o1, i1, *server, i2, o2], [o2, i2, bob],
                    [o2, i2, bob, i1, o1], [o2, i2, *server, bob, i1, o1], [o1, i1, bob], [o2, o2, i2, *server, i1, o1])
        if more:
            yield from ([o2, i2, *more, i1, o1], [o2, i2, *more], [*more, o2, i2, i1, o1],
                        [o2, i2, *server, *more, i1, o1])

    def as_ceo(self, method, dialog, routes, sender=CEO, agent=None, uri=None, to=None, tags=None):
        """A request in the name of the CEO, as if it were of the dialog that call_oneself() made."""
        mine, theirs = tags or ("9", dialog[1])
        return (agent or self.mallory).request(
            method, uri or self.bob.uri, sender='"CEO" <%s>;tag=%s' % (sender, mine), call_id=dialog[0], routes=routes,
            to="<%s>;tag=%s" % (to or self.bob.uri, theirs), headers=_HEADERS.get(method, []), cseq=7)

    def attempt_as_ceo(self, method, dialog, routes, agent=None, connection=None, **parts):
        agent = agent or self.mallory
        sent = self.as_ceo(method, dialog, routes, agent=agent, **parts)
        self.attempt(agent, sent, self.victims, 403, NOT_COVERED, connection)

    def attempt_every_method(self, dialog, mixes, methods=METHODS, **parts):
        for routes in mixes:
            for method in methods:
                self.attempt_as_ceo(method, dialog, routes, **parts)


class SelfMadeDialogTokenTest(SelfMadeDialog):
    """Attack 1: the excuse of a forwarded callee, made in a call to oneself and used towards another."""

    def test_without_a_token_it_is_403(self):
        self.attempt_every_method((unique("none"), "T"), [[]])
        self.assert_bob_heard_nothing()

    def test_in_the_name_of_another_domain(self):
        dialog = self.call_oneself()
        self.attempt_every_method(dialog, self.mixes(dialog[2]))
        self.assert_bob_heard_nothing()

    def test_in_the_name_of_our_own_domain(self):
        dialog = self.call_oneself(OUR_CEO)
        self.attempt_every_method(dialog, self.mixes(dialog[2]), sender=OUR_CEO)
        self.assert_bob_heard_nothing()

    def test_made_by_other_methods(self):
        for method in ("SUBSCRIBE", "REFER"):
            dialog = self.call_oneself(method=method)
            self.attempt_every_method(dialog, self.mixes(dialog[2]))
        self.assert_bob_heard_nothing()

    def route_to_bob(self):
        """What the edge writes for bob's side of an honest call."""
        ours, _ = self.call(self.mallory, self.bob.uri, self.bob)
        return [value for _, value in self.ours(reversed(ours.routes))][:2]

    def test_with_the_route_of_a_call_to_bob_in_between(self):
        outer, inner = self.route_to_bob()
        dialog = self.call_oneself()
        for more in ([inner, outer], [outer, inner]):
            self.attempt_every_method(dialog, self.mixes(dialog[2], *more))
        self.assert_bob_heard_nothing()

    def test_with_the_route_of_a_call_to_bob_brought_along(self):
        outer, inner = self.route_to_bob()
        for brought in ([inner, outer], [outer, inner]):
            dialog = self.call_oneself(headers=["Record-Route: " + value for value in brought])
            routes = dialog[2]
            self.assertEqual(routes[-2:], brought)
            self.attempt_every_method(dialog, [routes, routes[:-2], routes[:2], [*routes[:2], *brought],
                                               [*routes[:2], *brought, *routes[2:-2]]])
        self.assert_bob_heard_nothing()

    def test_with_a_record_route_of_ones_own_brought_along(self):
        for brought in (self.bob.contact, "sip:bob@127.0.0.1:%d" % self.kamailio_port, self.bob.uri):
            dialog = self.call_oneself(headers=["Record-Route: <%s;lr>" % brought])
            for uri in (self.bob.uri, self.bob.contact):
                self.attempt_every_method(dialog, [dialog[2]], uri=uri)
        self.assert_bob_heard_nothing()

    def test_from_tag_equal_to_to_tag(self):
        dialog = self.call_oneself()
        for to in (self.bob.uri, CEO):
            self.attempt_every_method(dialog, self.mixes(dialog[2]), to=to, tags=(dialog[1], dialog[1]))
        self.assert_bob_heard_nothing()

    def test_names_spelled_in_other_ways(self):
        for to, sender in ((CEO, "sips:ceo@b.example"), ("sips:ceo@b.example", CEO), (CEO, "sip:c%65o@b.example"),
                           ("sip:c%65o@b.example", CEO), (CEO, "sip:ceo@B.Example"),
                           (CEO, "sip:ceo@b.example;user=phone"), ("tel:+4930123", "tel:+49-30-123"),
                           ("tel:+4930123", "sip:+4930123@b.example;user=phone")):
            dialog = self.call_oneself(to)
            self.attempt_every_method(dialog, [dialog[2][:1], dialog[2][:2], dialog[2]], sender=sender)
        self.assert_bob_heard_nothing()

    def test_routes_spelled_in_other_ways(self):
        dialog = self.call_oneself()

        def escaped(user):
            return "<sip:%s@" % "".join("%%%02X" % ord(character) for character in user[1])

        for routes in ([re.sub(r"<sip:([^@]*)@", escaped, value) for value in dialog[2]],
                       [value.replace("<sip:", "<sips:") for value in dialog[2]],
                       [re.sub(";lr(?!=)", ";lr=on", value) for value in dialog[2]],
                       ['"x" ' + value.replace("edge.example", "EDGE.Example") for value in dialog[2]]):
            self.attempt_every_method(dialog, [routes[:1], routes[:2], routes])
        self.assert_bob_heard_nothing()

    def test_on_another_connection(self):
        dialog, eve = self.call_oneself(), self.user("eve")
        second = self.mallory.connect(self.edge)
        for how in ({"connection": second}, {"agent": eve}):
            self.attempt_every_method(dialog, self.mixes(dialog[2]), **how)
        self.assert_bob_heard_nothing()

    def test_of_a_colluder(self):
        # Eve calls mallory, and either of them uses what came.
        eve = self.user("eve")
        dialog = self.call_oneself(caller=eve)
        for agent in (self.mallory, eve):
            self.attempt_every_method(dialog, self.mixes(dialog[2]), agent=agent)
        self.assert_bob_heard_nothing()

    def test_of_a_call_that_alice_made(self):
        # Attack 2: she calls a number that leads to mallory. What excuses his From towards her leads to no other.
        alice = self.alice()
        self.victims.append(alice)
        number = self.forward(self.mallory.contact, self.mallory.path)
        ours, theirs = self.call(alice, number, self.mallory)
        tags = [value.rpartition("tag=")[2] for value in (theirs.local, theirs.remote)]
        mixes = list(self.mixes(theirs.routes))
        self.assertIn(theirs.routes, mixes)
        for uri, to in itertools.product((alice.contact, self.bob.uri, self.bob.contact), (alice.uri, self.bob.uri)):
            for mix in mixes:
                excused = (uri, to, mix) == (alice.contact, alice.uri, theirs.routes)
                methods = NEVER_EXCUSED if excused else METHODS
                self.attempt_every_method((theirs.call_id,), [mix], methods, sender=number, uri=uri, to=to, tags=tags)
        self.assert_bob_heard_nothing()
        self.exchange(theirs, ours, "INFO")

    def test_of_a_call_between_others(self):
        # Attack 8: what bob may say to alice, others may not; nor he in another dialog, nor with an altered route.
        alice, eve = self.alice(), self.user("eve")
        ours, theirs = self.call(alice, self.forward(self.bob.contact, self.bob.path), self.bob)

        def refused(agent, sent):
            self.attempt(agent, sent, [alice], 403, NOT_COVERED)

        def altered(number):
            value = re.sub(r"[A-Za-z0-9_-]{16,}", lambda run: run[0].swapcase(), theirs.routes[number])
            return [*theirs.routes[:number], value, *theirs.routes[number + 1:]]

        for method in METHODS + ("BYE",):
            for agent in (eve, self.mallory):
                refused(agent, agent.request(method, theirs.target, sender=theirs.local, to=theirs.remote, cseq=20,
                                             call_id=theirs.call_id, routes=theirs.routes))
            refused(self.bob, self.bob.request(method, theirs.target, sender=theirs.local, to=theirs.remote,
                                               routes=theirs.routes))
            for parts in ({"to": "<%s>" % alice.uri}, {"to": "<%s>;tag=other" % alice.uri}, {"routes": []},
                          {"routes": theirs.routes[1:]}, {"routes": altered(0)}):
                refused(self.bob, theirs.request(method, **parts))
        self.assert_none_got_through()
        self.assertEqual(alice.requests(), [])
        self.hang_up(theirs, ours)


class ThroughTwoInstancesTest(SelfMadeDialog):
    """Attack 3: in by one instance, out by the other, with one secret and one Kamailio."""

    instances = 2

    def call_through_the_sibling(self, **parts):
        """Mallory is registered at `edge`, and calls himself by the sibling."""
        self.mallory.connect(self.sibling)
        dialog = self.call_oneself(**parts)
        self.assertEqual([one for one, _ in self.ours(dialog[2])], [self.edge, self.edge, self.sibling, self.sibling])
        return dialog

    def check(self, dialog, **parts):
        self.assertEqual(len(self.mallory.connections), 2)  # To either instance.
        for connection in self.mallory.connections:
            self.attempt_every_method(dialog, self.mixes(dialog[2]), connection=connection, **parts)
        self.assert_bob_heard_nothing()

    def test_in_the_name_of_another_domain(self):
        self.check(self.call_through_the_sibling())

    def test_in_the_name_of_our_own_domain(self):
        self.check(self.call_through_the_sibling(to=OUR_CEO), sender=OUR_CEO)

    def test_the_way_in_restarts(self):
        dialog = self.call_through_the_sibling()
        self.restart(self.sibling)
        self.loop.until(lambda: len(self.mallory.connections) == 1, "the connection does not end")
        self.mallory.connect(self.sibling)
        self.check(dialog)

    def test_the_way_out_restarts(self):
        dialog = self.call_through_the_sibling()
        self.restart(self.edge)
        self.mallory.disconnect()
        for edge in self.edges:
            self.mallory.connect(edge)
        self.bob.disconnect()
        self.bob.connect(self.edge)
        self.assertEqual(self.bob.register().status, 200)
        self.check(dialog)


class ThroughTwoInstancesWithoutRecordRouteTest(ThroughTwoInstancesTest):
    """As above, and Kamailio does not Record-Route."""

    record_routed = "OPTIONS"


class TheEdgeAsItsOwnInside(SelfMadeDialog):
    """Base of attacks 4 to 6: a route that leads to an inside listener of the edge itself or of its sibling, or to a
    place of mallory's. What began outside does not come from the inside so, and nothing is dialled."""

    def setUp(self):
        super().setUp()
        self.sink = Sink(self.loop, free_port(), allowed=self.kamailio_port)
        self.addCleanup(self.sink.stop)
        self.addCleanup(self.loop.remove, self.sink)

    def assert_nothing_was_dialled(self):
        self.loop.serve()
        self.assertEqual((self.sink.visits, self.dns.asked), ([], []))

    def places(self):
        port = self.sink.port
        return ["<sip:127.0.0.1:%d;transport=tcp;lr>" % port, "<sip:127.0.0.1:%d;lr>" % port,
                "<sip:third.example:%d;maddr=127.0.0.1;transport=tls;lr>" % port]

    def check(self, dialog, *more):
        """Every route set that can be made of what came, towards another domain, a stranger and bob."""
        self.mallory.knows_nothing = True  # What he sends may come back to him.
        values = [value for _, value in self.ours(dialog[2])]
        mixes = [[value] for value in values] + [list(pair) for pair in itertools.permutations(values, 2)]
        mixes += [dialog[2], list(reversed(dialog[2]))]
        mixes += [[*mix, *more] for mix in mixes] if more else []
        for mix, uri in itertools.product(mixes, ("sip:boss@" + A, "sip:boss@third.example", self.bob.uri)):
            self.attempt_as_ceo("MESSAGE", dialog, mix, uri=uri, to=uri)
            for routes in (mix, *([*mix, place] for place in self.places())):
                sent = self.as_ceo("MESSAGE", dialog, routes, self.mallory.uri, uri=uri, to=uri)
                self.attempt(self.mallory, sent, [self.dave, self.carol, self.bob], REFUSALS)
            self.assert_nothing_was_dialled()
        self.assert_bob_heard_nothing()


class RouteTokenToTheEdgeItselfTest(TheEdgeAsItsOwnInside):
    """Attack 4. Kamailio leaves REFER and NOTIFY out of its Record-Route, as an inside proxy may: what the edge writes
    when the request goes out stands next to what it wrote when that came in."""

    record_routed = "INVITE|SUBSCRIBE"

    def test_refer_to_oneself(self):
        for to in (CEO, self.mallory.uri):
            with self.subTest(to=to):
                self.check(self.call_oneself(to, "REFER"))

    def test_notify_to_oneself(self):
        self.check(self.call_oneself(method="NOTIFY"))

    def test_excuse_made_without_record_route_of_the_proxy(self):
        dialog = self.call_oneself(method="REFER")
        self.assertEqual(len(dialog[2]), 4)
        self.attempt_every_method(dialog, self.mixes(dialog[2]))
        self.assert_bob_heard_nothing()


class RouteTokenToASiblingTest(TheEdgeAsItsOwnInside):
    """Attacks 4 and 5, by way of Kamailio, which goes where Route says: to the inside listener of either instance."""

    instances = 2

    def listeners(self):
        return ["<sip:127.0.0.1:%d;lr>" % edge.listener_port("core") for edge in self.edges] + [
            "<sip:127.0.0.1:%d;transport=tcp;lr>" % self.sibling.listener_port("core-tcp")]

    def test_relay_in_ones_own_dialog(self):
        bob = self.extension("bob")
        ours, theirs = self.call(self.mallory, bob.uri, bob)
        uris = ("sip:boss@third.example", "sip:boss@" + A, self.bob.uri)
        for listener, uri in itertools.product(self.listeners(), uris):
            for routes in ([*ours.routes, listener], [*ours.routes[:2], listener], [listener]):
                for method in ("MESSAGE", "INVITE", "SUBSCRIBE"):
                    self.attempt(self.mallory, ours.request(method, uri, routes),
                                 [self.dave, self.carol, self.bob, bob], REFUSALS)
                self.assert_nothing_was_dialled()
        self.assert_bob_heard_nothing()
        self.hang_up(ours, theirs)

    def test_path_of_a_colluder_in_ones_own_dialog(self):
        # Eve's Path leads to her connection from the inside only, and never within a dialog.
        bob, eve = self.extension("bob"), self.user("eve")
        ours, theirs = self.call(self.mallory, bob.uri, bob)
        for routes in ([*ours.routes, eve.path], [*ours.routes[:2], eve.path], [eve.path]):
            for uri in ("sip:boss@third.example", eve.contact, self.bob.contact):
                self.attempt(self.mallory, ours.request("MESSAGE", uri, routes), [eve, self.bob, bob], REFUSALS)
                self.assert_nothing_was_dialled()
        self.assert_bob_heard_nothing()
        self.hang_up(ours, theirs)

    def test_path_of_a_colluder_in_a_contact(self):
        # It becomes the Request-URI of what the other side sends in the dialog.
        bob, eve = self.extension("bob"), self.user("eve")
        self.mallory.contact = uri_in(eve.path)
        sent = self.mallory.request("INVITE", bob.uri)
        self.mallory.send(sent.bytes)
        invite, tag = self.mallory.delivered(sent, bob), unique("callee")
        _, theirs = self.answered(self.mallory, sent, bob, invite, tag)
        self.mallory.knows_nothing = True
        for method in ("MESSAGE", "INVITE", "BYE"):
            self.attempt(bob, theirs.request(method), [eve], REFUSALS)
            self.assert_nothing_was_dialled()
        self.assert_bob_heard_nothing()

    def test_record_route_of_the_sibling_brought_along(self):
        for listener in self.listeners():
            with self.subTest(listener=listener):
                self.check(self.call_oneself(headers=["Record-Route: " + listener]), listener)


class ContactIsNoInsideTargetTest(TheEdgeAsItsOwnInside):
    """Attack 6: in a call that passes the edge twice, mallory's Contact and his own Record-Route lead nowhere."""

    def test_contact_of_a_self_made_dialog(self):
        port = self.sink.port
        for contact, brought in itertools.product(
                ("sip:x@127.0.0.1:%d;transport=tcp" % port, "sip:x@127.0.0.1:%d" % port,
                 "sip:x@127.0.0.1:%d" % self.kamailio_port, "sip:x@127.0.0.1:%d" % self.inside_port),
                ([], ["<sip:127.0.0.1:%d;transport=tcp;lr>" % port])):
            dialog = self.call_oneself(headers=["Contact: <%s>" % contact, *("Record-Route: " + b for b in brought)])
            mixes = list(self.mixes(dialog[2][:-1] if brought else dialog[2], *brought))
            self.attempt_every_method(dialog, mixes)
            # To himself he may speak as he likes, but for the methods that are never excused.
            self.attempt_every_method(dialog, mixes, NEVER_EXCUSED, uri=contact)
            self.attempt_every_method(dialog, [mix for mix in mixes if mix != dialog[2]], uri=contact)
            self.assert_nothing_was_dialled()
        self.assert_bob_heard_nothing()

    def test_bye_leads_to_no_place_of_choice(self):
        # BYE is excused for more addresses than others are: none of them is a place that mallory names.
        dialog = self.call_oneself()
        self.mallory.knows_nothing = self.bob.knows_nothing = True
        uris = ("sip:x@127.0.0.1:%d;transport=tcp" % self.sink.port, self.bob.uri, "sip:boss@third.example",
                "sip:boss@" + A)
        for routes, uri in itertools.product(self.mixes(dialog[2], self.places()[0]), uris):
            sent = self.as_ceo("BYE", dialog, routes, uri=uri, to=self.mallory.uri)
            self.attempt(self.mallory, sent, [self.carol, self.dave], REFUSALS)
            self.assert_nothing_was_dialled()
        self.assert_none_got_through()


class AnswersTest(KamailioDialogScene):
    """Attack 7: an answer from outside does not change the way that later requests take."""

    def setUp(self):
        super().setUp()
        self.sink = Sink(self.loop, free_port())
        self.addCleanup(self.sink.stop)
        self.addCleanup(self.loop.remove, self.sink)

    def check(self, callee):
        for place in ("<sip:127.0.0.1:%d;lr>" % self.sink.port, "<sip:127.0.0.1:%d;transport=tcp;lr>" % self.sink.port,
                      "<sip:evil.example;lr>"):
            bob = self.extension("bob")
            for change in (lambda ours: [], lambda ours: [place], lambda ours: [place, *ours],
                           lambda ours: [*ours, place], lambda ours: [*ours[:2], place, *ours[2:]],
                           lambda ours: [place, *ours[2:]]):
                self.call_that_is_answered(bob, callee, change)

    def call_that_is_answered(self, bob, callee, change):
        """A call that is answered with what `change` makes of its Record-Route. What bob sends comes to the callee."""
        sent = bob.request("INVITE", callee.uri)
        bob.send(sent.bytes)
        invite, tag = bob.delivered(sent, callee), unique("callee")
        routes = change(listed(invite, "record-route"))
        for status, kind in ((183, bob.provisional), (200, lambda sent, _: bob.final(sent))):
            callee.answer(invite, status, tag=tag, record_routes=routes)
            ours = caller_of(bob, kind(sent, status))
            info = ours.send("INFO")
            callee.answer(bob.delivered(info, callee), 200)
            self.assertEqual(bob.final(info).status, 200)
        bob.delivered(ours.send("ACK", cseq=1), callee)
        self.hang_up(callee_of(callee, invite, tag), ours)
        self.loop.serve()
        self.assertEqual((self.sink.visits, self.dns.asked), ([], []))

    def test_record_route_in_an_answer_of_a_domain(self):
        self.check(self.carol)

    def test_record_route_in_an_answer_of_a_telephone(self):
        self.check(self.user("erin"))


class ContactWhenTheFlowIsGone:
    """Attack 7: a caller closes its connection and leaves a Contact, which the edge must not dial. The next hop inside
    is a telephone here. Run below with a TLS listener outside, and with plain ones as well."""

    plain = ()  # Their transports.

    @classmethod
    def prepare(cls):
        cls.bob_port = free_port()
        super().prepare()
        cls.sink = Sink(cls.loop, free_port())
        cls.addClassCleanup(cls.sink.stop)

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["next-hop"][0]["targets"] = ["udp:127.0.0.1:%d" % cls.bob_port]
        config["listener"] += [cls.outside("open-" + transport, transport=transport) for transport in cls.plain]
        return config

    def setUp(self):
        super().setUp()
        towards = ("127.0.0.1", self.edge.listener_port("core"))
        self.bob = Inside(self.loop, "sip:bob@edge.example", towards, self.bob_port)
        self.addCleanup(self.bob.stop)

    def contacts(self):
        port = self.sink.port
        return ["sip:x@127.0.0.1:%d;transport=tls" % port, "sips:x@127.0.0.1:%d" % port,
                "sip:x@127.0.0.1:%d;transport=tcp" % port, "sip:x@127.0.0.1:%d;transport=udp" % port,
                "sip:x@127.0.0.1:%d" % port, "sip:x@secret-data.evil.example", "sip:127.0.0.1:%d" % port,
                "sip:x@evil.example;maddr=127.0.0.1;transport=tls", "sip:x@[::1]:%d;transport=tcp" % port,
                "sip:x@[::ffff:127.0.0.1]:%d;transport=tls" % port,
                "sip:x@edge.example:%d;transport=tls" % self.edge.port,
                "sip:x@127.0.0.1:%d" % self.bob_port, "sip:x@127.0.0.1:%d" % self.edge.listener_port("core"),
                "sip:x@127.0.0.1:%d;transport=tcp" % self.edge.admin_port]

    def call_and_leave(self, caller, contact):
        """The other side of a call; its caller is gone."""
        caller.contact = contact
        _, theirs = self.call(caller, "sip:bob@edge.example", self.bob)
        caller.disconnect()
        self.edge.wait_metric("connections_active", 0, listener="federation")
        self.loop.serve()
        self.sink.clear()
        self.dns.asked.clear()
        return theirs

    def check(self, identity, status, names=()):
        for contact, method in itertools.product(self.contacts(), ("BYE", "INVITE", "INFO")):
            with self.subTest(contact=contact, method=method):
                theirs = self.call_and_leave(self.party("sip:alice@c.example", identity), contact)
                # A sips Request-URI that comes in clear is 480, wherever it leads (RFC 5630).
                self.attempt(self.bob, theirs.request(method), [self.dave, self.carol, self.bob],
                             480 if contact.startswith("sips:") else status)
                self.assert_none_got_through()
                self.loop.serve()
                self.assertEqual((self.sink.visits, set(self.dns.asked) - set(names)), ([], set()))

    def test_of_a_user(self):
        self.check("URI:sip:alice@c.example", 430)

    def test_of_a_domain(self):
        # Its own servers may be looked for, by its name alone (RFC 3263); here it has none.
        self.check("URI:sip:c.example", REFUSALS, ["c.example", "_sips._tcp.c.example", "_sip._tcp.c.example",
                                                   "_sip._udp.c.example"])

    def test_of_a_domain_that_has_servers(self):
        # They get it, whatever the Contact says, and prove the domain.
        for contact in self.contacts():
            with self.subTest(contact=contact):
                theirs = self.call_and_leave(self.alice(), contact.replace("sips:", "sip:"))
                sent = theirs.send("BYE")
                self.dave.answer(self.bob.delivered(sent, self.dave), 200, "OK")
                self.assertEqual(self.bob.final(sent).status, 200)
                self.assertEqual((self.sink.visits, self.dns.asked), ([], []))


class ContactWhenTheFlowIsGoneTest(ContactWhenTheFlowIsGone, DialogScene):
    pass


class ContactWhenTheFlowIsGoneWithPlainListenersTest(ContactWhenTheFlowIsGone, DialogScene):
    plain = ("tcp", "udp")


if __name__ == "__main__":
    scene.main()
