"""Calls and subscriptions that live through forwarding, lost connections, restarts and new keys: what the edge writes
into Record-Route leads every request of a dialog to its other side. Kamailio inside is that of deploy/interop."""
import secrets

from harness import scene
from harness.dialog_scene import A, B, KamailioDialogScene


class ForwardedCalls:
    """Calls that Kamailio sends out again: they pass the edge twice, and From of their callee is the number that was
    dialled, which its certificate does not cover. Run below through one instance and through two."""

    def way_out(self):
        """The instance by which Kamailio forwards."""
        return self.edge

    def forwarded(self, callee):
        """Alice calls a number that Kamailio forwards to `callee`; both sides of the call."""
        number = self.forward(callee.uri, edge=self.way_out())
        ours, theirs = self.call(self.alice(), number, callee)
        self.assertIn(number, theirs.local)
        return ours, theirs

    def check(self, play):
        """Plays a call that is forwarded to another domain, and one that is forwarded to the caller's own."""
        for callee in (self.carol, self.dave):
            with self.subTest(callee=callee.uri):
                play(*self.forwarded(callee))

    def test_forwarded_callee_hangs_up(self):
        self.check(lambda caller, callee: self.hang_up(callee, caller))

    def test_caller_hangs_up_on_the_forwarded_callee(self):
        self.check(self.hang_up)

    def test_forwarded_callee_holds(self):
        def play(caller, callee):
            for _ in range(2):
                self.hold(callee, caller)
                self.hold(caller, callee)
            self.exchange(callee, caller, "UPDATE")
            self.exchange(callee, caller, "INFO")
            self.hang_up(callee, caller)
        self.check(play)

    def test_forwarded_callee_calls_back_on_a_new_connection(self):
        # Another node of b.example, with a renewed certificate: RFC 3261 ties no dialog to a connection.
        caller, callee = self.forwarded(self.carol)
        callee.agent = self.party(self.carol.uri, "URI:sip:" + B, "DNS:node2.b.example", edge=self.way_out(),
                                  source="127.0.0.2")
        self.hang_up(callee, caller)

    def test_a_user_of_the_edge_is_forwarded(self):
        # A telephone calls a number that leads to another domain.
        phone = self.user("erin")
        caller, callee = self.call(phone, self.forward(self.carol.uri, edge=self.way_out()), self.carol)
        self.hold(callee, caller)
        self.hang_up(callee, caller)

    def test_refer_of_a_forwarded_callee_names_no_stranger(self):
        caller, callee = self.forwarded(self.carol)
        seen = self.exchange(callee, caller, "REFER", headers=[
            "Refer-To: <sip:dora@b.example>", "Referred-By: <sip:ceo@edge.example>"])
        self.assertEqual(seen.all("referred-by"), [])
        seen = self.exchange(callee, caller, "REFER", headers=[
            "Refer-To: <sip:dora@b.example>", "Referred-By: <%s>" % self.carol.uri])
        self.assertEqual(seen.all("referred-by"), ["<%s>" % self.carol.uri])
        self.exchange(caller, callee, "NOTIFY", headers=["Event: refer", "Subscription-State: terminated"])
        self.hang_up(callee, caller)


class ForwardedTest(ForwardedCalls, KamailioDialogScene):
    pass


class ForwardedThroughTwoInstancesTest(ForwardedCalls, KamailioDialogScene):
    """In by one instance, out by the other; they share Kamailio and the secret."""

    instances = 2

    def way_out(self):
        return self.sibling

    def test_the_way_in_restarts(self):
        for leaves_first in ("caller", "callee"):
            with self.subTest(leaves_first=leaves_first):
                caller, callee = self.forwarded(self.carol)
                self.restart(self.edge)
                caller.agent.disconnect()
                caller.agent.connect(self.edge)
                both = (caller, callee) if leaves_first == "caller" else (callee, caller)
                self.hold(*both)
                self.hang_up(*both)

    def test_the_way_out_restarts(self):
        caller, callee = self.forwarded(self.carol)
        self.restart(self.sibling)
        self.hold(caller, callee)  # The edge dials b.example again,
        callee.connection = self.carol.connect(self.sibling)  # and b.example the edge.
        self.hold(callee, caller)
        self.hang_up(callee, caller)


class CallsTest(KamailioDialogScene):
    """Calls between a telephone or a domain outside and a telephone inside."""

    DIRECTIONS = ("outside", "inside")

    def call_of(self, caller, phone):
        """A call between `phone` outside and a telephone inside, begun by either: its side, and the other."""
        bob = self.extension("bob")
        if caller == "outside":
            return self.call(phone, bob.uri, bob)
        return tuple(reversed(self.call(bob, phone.uri, phone)))

    def in_both_directions(self, play):
        """Plays a call of a telephone outside, and one to it."""
        for caller in self.DIRECTIONS:
            with self.subTest(caller=caller):
                phone = self.user("erin")
                play(*self.call_of(caller, phone))

    def talk(self, one, other):
        """What both sides of a call may do; `one` begins and ends it."""
        self.hold(one, other)
        self.hold(other, one)
        self.hang_up(one, other)

    def test_callee_dialled_by_its_extension(self):
        phone, bob = self.user("erin"), self.extension("bob")
        number = self.forward(phone.contact, phone.path)
        for caller in (bob, self.alice(), self.user("frank")):
            with self.subTest(caller=caller.uri):
                ours, theirs = self.call(caller, number, phone)
                self.assertIn(number, theirs.local)
                self.talk(theirs, ours)

    def test_partner_hangs_up_on_a_new_connection(self):
        # From another node of the domain, with a certificate that was renewed meanwhile.
        alice, bob = self.alice(), self.extension("bob")
        ours, theirs = self.call(alice, bob.uri, bob)
        renewed = self.authority.leaf("URI:sip:" + A, "DNS:node2.a.example")
        ours.connection = alice.reconnect(self.edge, renewed, "127.0.0.2")
        self.talk(ours, theirs)

    def test_partner_that_was_called_hangs_up_on_a_new_connection(self):
        bob = self.extension("bob")
        ours, theirs = self.call(bob, self.carol.uri, self.carol)
        self.carol.connect(self.edge, self.authority.leaf("URI:sip:" + B, "DNS:node2.b.example"), "127.0.0.2")
        theirs.connection = None
        self.talk(theirs, ours)

    def test_telephone_reconnects_and_is_called_into(self):
        def play(ours, theirs):
            ours.connection = ours.agent.reconnect(self.edge)
            self.talk(theirs, ours)
        self.in_both_directions(play)

    def test_telephone_reconnects_registers_and_is_called_into(self):
        def play(ours, theirs):
            ours.connection = ours.agent.reconnect(self.edge)
            self.assertEqual(ours.agent.register().status, 200)
            self.talk(theirs, ours)
        self.in_both_directions(play)

    def test_another_device_of_the_user_does_not_take_over(self):
        # The same user, another certificate: its dialogs are its own.
        def play(ours, theirs):
            phone = ours.agent
            self.dns.asked.clear()
            phone.reconnect(self.edge, self.authority.leaf("URI:" + phone.uri, "DNS:second.device.example"))
            self.assertEqual(phone.register().status, 200)
            self.attempt(theirs.agent, theirs.request("BYE"), [phone], 430)
            self.assert_none_got_through()
            self.assertEqual(self.dns.asked, [])
        self.in_both_directions(play)

    def test_restart_in_mid_call(self):
        for leaves in self.DIRECTIONS:
            for caller in self.DIRECTIONS:
                with self.subTest(leaves=leaves, caller=caller):
                    phone = self.user("erin")
                    ours, theirs = self.call_of(caller, phone)
                    self.restart(self.edge)
                    phone.disconnect()
                    ours.connection = phone.connect(self.edge)
                    self.talk(*((ours, theirs) if leaves == "outside" else (theirs, ours)))

    def test_restart_in_a_call_with_a_domain(self):
        for leaves in self.DIRECTIONS:
            with self.subTest(leaves=leaves):
                bob = self.extension("bob")
                theirs, ours = self.call(bob, self.carol.uri, self.carol)
                self.restart(self.edge)
                self.loop.until(lambda: not self.carol.connections, "carol's connection does not end")
                if leaves == "outside":
                    ours.connection = self.carol.connect(self.edge)
                    self.talk(ours, theirs)
                else:
                    self.talk(theirs, ours)  # The edge dials b.example again.

    def calls_of_every_kind(self):
        """Pairs of dialogs, the one that is to hang up first."""
        phone = self.user("erin")
        out, into = (self.call_of(caller, phone) for caller in self.DIRECTIONS)
        forwarded = self.call(self.alice(), self.forward(self.carol.uri), self.carol)
        extension = self.call(self.extension("bob"), self.forward(phone.contact, phone.path), phone)
        return [out, tuple(reversed(into)), tuple(reversed(forwarded)), tuple(reversed(extension))]

    def talk_of_each(self, calls):
        for one, other in calls:
            with self.subTest(leaves=one.local):
                self.talk(one, other)

    def test_reload_in_mid_call(self):
        # What is added stands in front of what the calls use.
        calls = self.calls_of_every_kind()
        hops, routes = self.edge.config["next-hop"], self.edge.config["route"]
        self.addCleanup(self.edge.reload, {"next-hop": hops, "route": routes})
        self.edge.reload({
            "next-hop": [{"name": "more", "zone": "outside", "targets": ["tls:c.example"]}, *hops],
            "route": [{"zone": "inside", "domain": "c.example", "next-hop": "more"}, *routes]})
        self.talk_of_each(calls)

    def test_key_rotation_in_mid_call(self):
        calls = self.calls_of_every_kind()
        with open(self.secret, encoding="ascii") as file:
            self.write_secret(secrets.token_hex(32) + "\n" + file.read())
        self.edge.reload()
        for one, _ in calls:
            if one.agent is self.carol:
                one.connection = self.carol.connect(self.edge)  # New keys end what the edge has dialled.
        self.talk_of_each(calls)

    def test_kamailio_restarts_in_mid_call(self):
        def play(ours, theirs):
            self.registrar.stop()
            self.registrar.start()
            self.talk(ours, theirs)
        self.in_both_directions(play)

    def test_refer_in_a_call(self):
        def play(ours, theirs):
            for one, other in ((ours, theirs), (theirs, ours)):
                self.exchange(one, other, "REFER", headers=["Refer-To: <sip:dora@b.example>"])
                self.exchange(other, one, "NOTIFY", headers=["Event: refer", "Subscription-State: terminated"])
            self.hang_up(ours, theirs)
        self.in_both_directions(play)


if __name__ == "__main__":
    scene.main()
