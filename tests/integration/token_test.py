"""Attacks with what the edge writes into Record-Route and Path, through the profile of deploy/interop/kamailio. None of
it lets an outsider use another name, count as the inside, or make the edge dial a place of his choice. Mallory and Eve
have certificates of their own; what they send is SIP, and no test knows the form of a token."""
import itertools
import re

from harness import scene
from harness.dialog_scene import KamailioDialogScene
from harness.messages import unique
from harness.user_agents import listed, uri_in

NOT_COVERED = "From Not Covered By Certificate"
CEO = "sip:ceo@b.example"         # Of another domain: mallory wants to speak as this one,
OUR_CEO = "sip:ceo@edge.example"  # or as this one.
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
                       [value.replace(";lr", ";lr=on") for value in dialog[2]],
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


if __name__ == "__main__":
    scene.main()
