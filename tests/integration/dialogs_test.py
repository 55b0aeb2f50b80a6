"""Calls and subscriptions that live through forwarding, lost connections, restarts and new keys: what the edge writes
into Record-Route leads every request of a dialog to its other side. Kamailio inside is that of deploy/interop."""
import secrets

from harness import scene
from harness.dialog import Dialog, callee_of
from harness.dialog_scene import A, B, KamailioDialogScene
from harness.messages import unique
from harness.user_agents import listed, uri_in


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


class PathTest(KamailioDialogScene):
    """What the edge writes into Path, as Kamailio stores it and repeats it to the telephone."""

    def assert_only_ours(self, paths):
        self.assertEqual(len(paths), 1, paths)
        self.assertRegex(paths[0], r"^<sip:[^>]*\b127\.0\.0\.1:%d[;>]" % self.inside_port)

    def called(self, phone):
        bob = self.extension("bob")
        self.hang_up(*self.call(bob, phone.uri, phone))

    def test_path_of_a_telephone(self):
        phone = self.user("erin", register=False)
        self.assert_only_ours(listed(phone.register(), "path"))
        self.called(phone)

    def test_path_of_others_is_removed(self):
        frank = self.user("frank")
        for more in ("<sip:127.0.0.1:9;lr>", "<sip:evil.example;lr>", frank.path,
                     "<sip:127.0.0.1:%d;lr>" % self.inside_port):
            for headers in (["Path: " + more], ["Path: %s, <sip:evil.example;lr>" % more]):
                with self.subTest(path=headers):
                    phone = self.user("erin", register=False)
                    self.assert_only_ours(listed(phone.register(headers), "path"))
                    self.called(phone)

    def test_path_behind_another_proxy(self):
        # Then too there is no other way to the telephone than the connection that the REGISTER came by.
        phone = self.user("erin", register=False)
        answer = phone.register(["Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKbehind"])
        self.assert_only_ours(listed(answer, "path"))
        self.called(phone)


class LostCallerTest(KamailioDialogScene):
    """A caller loses its connection before the answer, and gets that on another one of its certificate or domain."""

    def ringing(self, caller):
        bob = self.extension("bob")
        sent = caller.request("INVITE", bob.uri)
        caller.send(sent.bytes)
        invite, tag = caller.delivered(sent, bob), unique("callee")
        bob.answer(invite, 180, "Ringing", tag=tag)
        caller.provisional(sent, 180)
        return sent, bob, invite, tag

    def check(self, caller, renewed=None):
        sent, bob, invite, tag = self.ringing(caller)
        caller.reconnect(self.edge, renewed)
        ours, theirs = self.answered(caller, sent, bob, invite, tag)
        self.hang_up(theirs, ours)

    def test_user_gets_the_answer_on_a_new_connection(self):
        self.check(self.user("erin", register=False))

    def test_domain_gets_the_answer_on_a_new_connection(self):
        self.check(self.alice())

    def test_domain_gets_the_answer_with_a_renewed_certificate(self):
        self.check(self.alice(), self.authority.leaf("URI:sip:" + A, "DNS:node2.a.example"))

    def test_others_do_not_get_the_answer(self):
        caller, other = self.user("erin", register=False), self.user("frank")
        sent, bob, invite, tag = self.ringing(caller)
        caller.disconnect()
        second = self.party(caller.uri, "URI:" + caller.uri, "DNS:second.device.example")
        bob.answer(invite, 200, "OK", tag=tag)
        # What bob sends next comes to frank, and by then the answer has gone where it goes.
        bob.send(bob.request("MESSAGE", other.uri).bytes)
        self.assertEqual(other.expect("MESSAGE").header("from").partition(";")[0], "<%s>" % bob.uri)
        second.ask(second.request("OPTIONS", "sip:edge.example", max_forwards="0"))
        self.assertEqual((other.received, second.received, self.dns.asked), ([], [], []))


class SubscriptionsTest(KamailioDialogScene):
    """A subscriber takes its route set from the NOTIFY that answers it (RFC 6665 §4.3), so NOTIFY carries our
    Record-Route as SUBSCRIBE does."""

    EVENT = ["Event: presence", "Expires: 600"]
    STATE = ["Event: presence", "Subscription-State: active;expires=600"]

    def check(self, subscriber, notifier, method="SUBSCRIBE", uri=None, event=None):
        headers, state = event or (self.EVENT, self.STATE)
        sent = subscriber.request(method, uri or notifier.uri, headers=headers)
        subscriber.send(sent.bytes)
        subscribe, tag = subscriber.delivered(sent, notifier), unique("notifier")
        theirs = callee_of(notifier, subscribe, tag)
        notified = theirs.send("NOTIFY", headers=state)
        notify = notifier.delivered(notified, subscriber)
        routes = listed(notify, "record-route")
        self.assert_through_edge_and_kamailio(subscriber, routes)
        subscriber.answer(notify, 200, "OK")
        self.assertEqual(notifier.final(notified).status, 200)
        notifier.answer(subscribe, 202, "Accepted", tag=tag)
        self.assertEqual(subscriber.final(sent).status, 202)
        ours = Dialog(subscriber, notify, notify.header("to"), notify.header("from"), routes)
        if method == "SUBSCRIBE":
            self.exchange(ours, theirs, "SUBSCRIBE", headers=headers)  # Refreshes.
        seen = self.exchange(theirs, ours, "NOTIFY", headers=state)
        self.assert_through_edge_and_kamailio(subscriber, listed(seen, "record-route"))
        return ours, theirs

    def assert_through_edge_and_kamailio(self, subscriber, routes):
        places = [uri_in(value).split(";")[0].rpartition("@")[2].removeprefix("sip:") for value in routes]
        outside, inside = "edge.example:%d" % self.edge.port, "127.0.0.1:%d" % self.inside_port
        server = "127.0.0.1:%d" % self.kamailio_port
        wanted = [outside, inside, server] if subscriber.transport == "TLS" else [server, inside, outside]
        self.assertEqual(list(dict.fromkeys(places)), wanted)

    def test_telephone_subscribes_inside(self):
        self.check(self.user("erin"), self.extension("bob"))

    def test_inside_subscribes_to_a_telephone(self):
        self.check(self.extension("bob"), self.user("erin"))

    def test_domain_subscribes_inside(self):
        self.check(self.alice(), self.extension("bob"))

    def test_inside_subscribes_to_a_domain(self):
        self.check(self.extension("bob"), self.carol)

    def test_subscription_outlives_the_connection(self):
        for inward in (True, False):
            with self.subTest(inward=inward):
                phone, bob = self.user("erin"), self.extension("bob")
                ours, theirs = self.check(phone, bob) if inward else self.check(bob, phone)
                phone.reconnect(self.edge)
                self.exchange(theirs, ours, "NOTIFY", headers=self.STATE)
                self.exchange(ours, theirs, "SUBSCRIBE", headers=self.EVENT)

    def test_telephone_notifies_as_its_extension(self):
        # Dialled by a number that is not its own, it notifies in the name of that.
        phone, bob = self.user("erin"), self.extension("bob")
        self.check(bob, phone, uri=self.forward(phone.contact, phone.path))

    def test_other_keys_end_a_subscription(self):
        # Its subscriber is told so by 481, and subscribes anew (RFC 6665 §4.1.2.3).
        phone, bob = self.user("erin"), self.extension("bob")
        subscriptions = [self.check(phone, bob), self.check(bob, phone),
                         self.check(bob, phone, uri=self.forward(phone.contact, phone.path))]
        self.write_secret(secrets.token_hex(32) + "\n")
        self.edge.reload()
        for ours, theirs in subscriptions:
            with self.subTest(subscriber=ours.local, notifier=theirs.local):
                others = [phone, bob]
                self.attempt(ours.agent, ours.request("SUBSCRIBE", headers=self.EVENT), others, 481)
                self.attempt(theirs.agent, theirs.request("NOTIFY", headers=self.STATE), others, 481)
                self.assert_none_got_through()

    def test_refer_outside_a_call(self):
        event = (["Refer-To: <sip:dora@b.example>"], ["Event: refer", "Subscription-State: active;expires=60"])
        bob, phone = self.extension("bob"), self.user("erin")
        for one, other in ((phone, bob), (bob, phone), (self.alice(), bob), (bob, self.carol)):
            with self.subTest(refers=one.uri):
                self.check(one, other, "REFER", event=event)


if __name__ == "__main__":
    scene.main()
