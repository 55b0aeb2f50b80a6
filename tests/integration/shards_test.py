"""Flows and next hops on different shards: whatever shard owns what, the same happens as on one.

Every test runs with one shard and with four. With four, connections spread over them by the kernel's hash of their
addresses, while all that one UDP socket or TCP connection sends from the inside arrives at one of them: most requests
to a flow cross shards, and so do most of the answers.
"""
from harness import edge as edge_process
from harness import dns_server, inside, next_hop, scene, tls_client, tls_server
from harness.messages import ack_for, cancel_for, request, response_to, unique

CLIENTS = 12


class Phone:
    """A client of the edge with a registered flow."""

    def __init__(self, test, number, port, edge=None, supported="path, outbound", client=None):
        self.uri = "sip:user%d@a.example" % number
        self.port = port
        self.client = client or test.client(edge=edge, port=port)
        self.contact = "sip:user%d@192.0.2.9:5061;transport=tls%s" % (number, ";ob" if "outbound" in supported else "")
        wanted = request("REGISTER", uri="sip:edge.example", sender="<%s>;tag=r" % self.uri, to="<%s>" % self.uri,
                         omit=("contact",), headers=[
                             "Supported: " + supported,
                             'Contact: <%s>;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-%012d>"' % (
                                 self.contact, number)])
        answer = self.client.exchange(wanted)
        test.assertEqual(answer.status, 200, answer.raw)
        self.path = test.hop.wait(wanted.call_id)[0].header("path")

    def answer(self, message, status, reason="Whatever", **parts):
        self.client.send(response_to(message, status, reason, **parts))


def routes(message):
    """Route lines of whoever got `message` with its Record-Route in this order."""
    return ["Route: " + value for line in message.all("record-route") for value in line.split(",")]


def record_routes(message):
    return ["Record-Route: " + value for value in message.all("record-route")]


class Shards:
    """Run below for one shard and for four."""

    shards = 1
    transport = "udp"

    @classmethod
    def usual_config(cls):
        made = super().usual_config()
        made["edge"]["shards"] = cls.shards
        # Flows of the second outside listener, so that no index is nought by accident.
        made["listener"] += [cls.inside("core-tcp", "tcp"), cls.outside("partners")]
        return made

    def setUp(self):
        self.hop.rule = next_hop.accept

    def phones(self, count=CLIENTS, edge=None, **more):
        edge = edge or self.edge
        ports = [edge.listener_port("federation"), edge.listener_port("partners")]
        return [Phone(self, n, ports[n % 2], edge, **more) for n in range(count)]

    def insides(self, edge=None):
        edge = edge or self.edge
        made = [inside.Inside("udp", edge.listener_port("core")), inside.Inside("tcp", edge.listener_port("core-tcp"))]
        for one in made:
            self.addCleanup(one.close)
        return made

    def to_phone(self, who, phone, method="MESSAGE", **parts):
        """A request from the inside by the Path that the phone registered."""
        parts.setdefault("to", "<%s>" % phone.uri)
        headers = ["Route: " + phone.path] + list(parts.pop("headers", ()))
        return who.request(method, phone.contact, "z9hG4bK" + unique("in"), headers=headers, omit=("contact",), **parts)

    def inside_contact(self):
        return "Contact: <sip:bob@%s:%d;transport=%s>" % (self.hop.host, self.hop.port, self.hop.transport)

    def inside_proxy(self):
        return "<sip:%s:%d;transport=%s;lr>" % (self.hop.host, self.hop.port, self.hop.transport)

    def inside_headers(self):
        """Of an INVITE that the next hop forwards from bob: it Record-Routes, so it gets what comes back."""
        return [self.inside_contact(), "Record-Route: " + self.inside_proxy()]

    def receive(self, phone, call_id, method):
        message = phone.client.receive()
        self.assertEqual((message.method, message.call_id), (method, call_id), message.raw)
        return message

    def test_requests_by_path_reach_their_connection(self):
        phones, insides = self.phones(), self.insides()
        if self.shards > 1:
            self.edge.wait_metric("worker_connections", lambda value: value >= len(phones))  # Shards tell at their ticks.
            held = self.edge.metrics().nonzero("worker_connections")
            self.assertGreater(len(held), 1, "the kernel gave every connection to one shard")
        for who in insides:
            wanted = [self.to_phone(who, phone) for phone in phones]
            for one in wanted:
                who.send(one)
            got = [self.receive(phone, one.call_id, "MESSAGE") for phone, one in zip(phones, wanted)]
            for phone, message in reversed(list(zip(phones, got))):
                self.assertEqual(message.all("route"), [])
                phone.answer(message, 200, "OK for " + phone.uri)
            for phone, one in zip(phones, wanted):
                answer = who.receive(one.call_id)
                self.assertEqual((answer.status, answer.reason), (200, "OK for " + phone.uri))
                self.assertEqual(len(answer.vias()), 1)

    def test_many_requests_to_each_flow_at_once(self):
        phones, insides = self.phones(6), self.insides()
        wanted = [(who, phone, self.to_phone(who, phone, body=b"x" * (n * 70)))
                  for n in range(15) for who in insides for phone in phones]
        for who, _, one in wanted:
            who.send(one)
        for phone in phones:
            mine = {one.call_id for _, to, one in wanted if to is phone}
            while mine:
                message = phone.client.receive()
                self.assertEqual(message.method, "MESSAGE")
                if message.call_id in mine:
                    mine.remove(message.call_id)
                    phone.answer(message, 200, "OK")
        for who, _, one in wanted:
            self.assertEqual(who.receive(one.call_id).status, 200)

    def test_calls_from_inside(self):
        phones, insides = self.phones(), self.insides()
        for who in insides:
            for n, phone in enumerate(phones):
                with self.subTest(inside=who.transport, phone=n):
                    self.call_phone(who, phone, inside_hangs_up=n % 2 == 0)

    def call_phone(self, who, phone, inside_hangs_up):
        # The dialled name is not the phone's: what it says in this dialog is excused by the dialog token.
        invite = self.to_phone(who, phone, "INVITE", to="<sip:sales@edge.example>", headers=self.inside_headers())
        who.send(invite)
        seen = self.receive(phone, invite.call_id, "INVITE")
        self.assertEqual(len(routes(seen)), 3, seen.raw)
        self.assertEqual(routes(seen)[-1], "Route: " + self.inside_proxy(), seen.raw)
        phone.answer(seen, 180, "Ringing", headers=record_routes(seen))
        self.assertEqual(who.receive(invite.call_id).status, 180)
        phone.client.send(response_to(seen, 200, "OK", headers=record_routes(seen)).replace(
            b"<sip:bob@edge.example>", b"<%s>" % phone.contact.encode(), 1))
        answer = who.receive(invite.call_id)
        self.assertEqual(answer.status, 200)
        back = list(reversed(routes(answer)))[1:]  # `who` sends for the proxy inside, too.

        def in_dialog(method, cseq):
            branch = "z9hG4bK" + unique("in")
            return who.request(method, phone.contact, branch, call_id=invite.call_id, headers=back, cseq=cseq,
                               to=answer.header("to"), omit=("contact",))

        who.send(in_dialog("ACK", 1))
        self.receive(phone, invite.call_id, "ACK")
        if inside_hangs_up:
            who.send(in_dialog("BYE", 2))
            phone.answer(self.receive(phone, invite.call_id, "BYE"), 200, "OK")
            self.assertEqual(who.receive(invite.call_id).status, 200)
        else:
            self.assertEqual(self.hang_up(phone, seen).status, 200)
            self.assertEqual(len(self.hop.seen(invite.call_id, "BYE")), 1)

    @staticmethod
    def hang_up(phone, invite, client=None):
        """BYE of a phone in a call from the inside, under the name that was dialled."""
        contact = invite.header("contact").strip("<>")
        bye = request("BYE", uri=contact, call_id=invite.call_id, sender="<sip:sales@edge.example>;tag=uas",
                      to=invite.header("from"), headers=routes(invite))
        return (client or phone.client).exchange(bye)

    def test_calls_from_outside(self):
        phones, insides = self.phones(), self.insides()
        for n, phone in enumerate(phones):
            who = insides[n // 2 % 2]
            with self.subTest(inside=who.transport, phone=n):
                self.call_from_phone(who, phone, inside_hangs_up=n % 2 == 0)

    def call_from_phone(self, who, phone, inside_hangs_up):
        invite = request("INVITE", sender="<%s>;tag=p" % phone.uri, omit=("contact",),
                         headers=["Contact: <%s>" % phone.contact])

        def callee(hop, message):
            if message.method == "INVITE":
                hop.respond(message, 180, "Ringing", headers=record_routes(message))
                hop.respond(message, 200, "OK", headers=record_routes(message))
            elif message.method == "BYE":
                hop.respond(message, 200, "OK")

        self.hop.rules[invite.call_id] = callee
        phone.client.send(invite)
        self.assertEqual([phone.client.receive().status for _ in range(3)], [100, 180, 200])
        seen = self.hop.wait(invite.call_id, "INVITE")[0]
        forth = list(reversed(routes(seen)))
        ack = request("ACK", call_id=invite.call_id, sender="<%s>;tag=p" % phone.uri, headers=forth,
                      to="<sip:bob@edge.example>;tag=uas")
        phone.client.send(ack)
        self.hop.wait(invite.call_id, "ACK")
        if inside_hangs_up:
            bye = who.request("BYE", phone.contact, "z9hG4bK" + unique("in"), call_id=invite.call_id,
                              sender="<sip:bob@edge.example>;tag=uas", to="<%s>;tag=p" % phone.uri,
                              headers=routes(seen), omit=("contact",))
            who.send(bye)
            phone.answer(self.receive(phone, invite.call_id, "BYE"), 200, "OK")
            self.assertEqual(who.receive(invite.call_id).status, 200)
        else:
            bye = request("BYE", call_id=invite.call_id, sender="<%s>;tag=p" % phone.uri, headers=forth, cseq=2,
                          to="<sip:bob@edge.example>;tag=uas")
            self.assertEqual(phone.client.exchange(bye).status, 200)

    def test_cancel_from_inside(self):
        phones, insides = self.phones(6), self.insides()
        for who in insides:
            for n, phone in enumerate(phones):
                with self.subTest(inside=who.transport, phone=n):
                    self.cancel(who, phone)

    def cancel(self, who, phone):
        invite = self.to_phone(who, phone, "INVITE")
        who.send(invite)
        seen = self.receive(phone, invite.call_id, "INVITE")
        phone.answer(seen, 180, "Ringing")
        self.assertEqual(who.receive(invite.call_id, "INVITE").status, 180)
        who.send(who.request("CANCEL", phone.contact, invite.branch, call_id=invite.call_id, to="<%s>" % phone.uri,
                             headers=["Route: " + phone.path], omit=("contact",)))
        self.assertEqual(who.receive(invite.call_id, "CANCEL").status, 200)
        cancel = self.receive(phone, invite.call_id, "CANCEL")
        self.assertEqual(cancel.vias()[0], seen.vias()[0])
        phone.answer(cancel, 200, "OK")
        phone.answer(seen, 487, "Request Terminated")
        final = who.receive(invite.call_id, "INVITE")
        self.assertEqual(final.status, 487)
        who.send(who.request("ACK", phone.contact, invite.branch, call_id=invite.call_id, to=final.header("to"),
                             headers=["Route: " + phone.path], omit=("contact",)))
        self.receive(phone, invite.call_id, "ACK")

    def test_cancel_on_another_connection_of_the_same_identity(self):
        """RFC 3261 §9.2: whatever connection it comes on; another identity's finds nothing."""
        self.hop.rule = lambda hop, m: m.method == "INVITE" and hop.respond(m, 180, "Ringing")
        stranger = self.client("URI:sip:b.example")
        for _ in range(6):
            caller, other = self.client(), self.client()
            invite = request("INVITE")
            caller.send(invite)
            self.assertEqual([caller.receive().status for _ in range(2)], [100, 180])
            reason = 'SIP;cause=200;text="Call completed elsewhere"'
            foreign = cancel_for(invite, sender="<sip:bob@b.example>;tag=1")
            self.assertEqual(stranger.exchange(foreign).status, 481)
            self.assertEqual(self.hop.seen(invite.call_id, "CANCEL"), [])
            self.assertEqual(other.exchange(cancel_for(invite, headers=["Reason: " + reason])).status, 200)
            (cancel,) = self.hop.wait(invite.call_id, "CANCEL")
            self.assertEqual(cancel.all("reason"), [reason])  # RFC 3326 §2.
            self.hop.respond(cancel, 200, "OK")
            self.hop.respond(self.hop.seen(invite.call_id, "INVITE")[0], 487, "Request Terminated")
            final = caller.receive_final(invite.call_id)
            self.assertEqual(final.status, 487)
            caller.send(ack_for(invite, final))
            self.assertEqual(other.exchange(cancel_for(request("INVITE"))).status, 481)

    def test_drain_waits_for_phones_that_ring(self):
        """Their flows are of all shards, and who waits for them is on one."""
        edge = self.another_edge({"timeouts": {"drain": "30s"}})
        phones, (who, _) = self.phones(6, edge=edge), self.insides(edge)
        calls = [self.to_phone(who, phone, "INVITE", headers=[self.inside_contact()]) for phone in phones]
        for call in calls:
            who.send(call)
        seen = [self.receive(phone, call.call_id, "INVITE") for phone, call in zip(phones, calls)]
        for phone, invite in zip(phones, seen):
            phone.answer(invite, 180, "Ringing")
        for call in calls:
            self.assertEqual(who.receive(call.call_id).status, 180)
        edge.terminate()
        # Longer than a connection that other shards use counts as busy after its last byte.
        with self.assertRaises(tls_client.Silence):
            phones[0].client.receive(timeout=7.0)
        for phone, invite in zip(phones, seen):
            phone.answer(invite, 486, "Busy Here")
        for call in calls:
            self.assertEqual(who.receive(call.call_id).status, 486)

    def test_closed_flow_is_430(self):
        phones, insides = self.phones(), self.insides()
        for who in insides:  # Its own shard alone knew of half of them before they close.
            for phone in phones[::2]:
                wanted = self.to_phone(who, phone)
                who.send(wanted)
                phone.answer(self.receive(phone, wanted.call_id, "MESSAGE"), 200, "OK")
                self.assertEqual(who.receive(wanted.call_id).status, 200)
        for phone in phones:
            phone.client.close()
        # Their listeners alone: connections from the inside stay.
        for name in ("federation", "partners"):
            self.edge.wait_metric("connections_active", 0, listener=name)
        before = self.edge.metrics().value("sip_flow_failures_total", reason="gone")
        for who in insides:
            for phone in phones:
                for method in ("MESSAGE", "INVITE"):
                    answer = who.exchange(self.to_phone(who, phone, method))
                    self.assert_refused(answer, 430, "Flow Failed")
                    if method == "INVITE":
                        who.send(who.request("ACK", phone.contact, answer.vias()[0].rsplit("branch=")[1].split(";")[0],
                                             call_id=answer.call_id, to=answer.header("to"), omit=("contact",)))

    def test_lost_flow_ends_what_waits_for_it(self):
        phones, insides = self.phones(), self.insides()
        wanted = []
        for who in insides:
            for phone in phones:
                for method in ("MESSAGE", "INVITE"):
                    one = self.to_phone(who, phone, method)
                    who.send(one)
                    seen = self.receive(phone, one.call_id, method)
                    if method == "INVITE":
                        phone.answer(seen, 180, "Ringing")
                        self.assertEqual(who.receive(one.call_id).status, 180)
                    wanted.append((who, one))
        for n, phone in enumerate(phones):
            phone.client.reset() if n % 2 else phone.client.close()
        for who, one in wanted:  # At once: Timer F would need 32 seconds and answer 408.
            answer = who.receive(one.call_id, timeout=15.0)
            self.assert_refused(answer, 430, "Flow Failed")

    def lose_flows(self, phones, edge):
        """Each phone has a call to the inside, and closes; what the next hop got."""
        dialogs = []
        for phone in phones:
            invite = request("INVITE", sender="<%s>;tag=p" % phone.uri, omit=("contact",),
                             headers=["Contact: <%s>" % phone.contact])
            self.hop.rules[invite.call_id] = lambda hop, m: m.method == "INVITE" and hop.respond(
                m, 200, "OK", headers=record_routes(m))
            self.assertEqual(phone.client.exchange(invite).status, 200)
            dialogs.append(self.hop.wait(invite.call_id, "INVITE")[0])
            phone.client.close()
        for name in ("federation", "partners"):
            edge.wait_metric("connections_active", 0, listener=name)
        return dialogs

    @staticmethod
    def bye_to(who, phone, seen, uri="sip:user@127.0.0.1:1;transport=tls"):
        """BYE from the inside to `uri`, the Contact of the phone."""
        return who.request("BYE", uri, "z9hG4bK" + unique("in"), call_id=seen.call_id,
                           sender="<sip:bob@edge.example>;tag=uas", to="<%s>;tag=p" % phone.uri,
                           headers=routes(seen), omit=("contact",))

    def partner(self, port):
        """Where a.example is found by configuration; DNS knows no name."""
        dns = dns_server.DnsServer(self.folder, [])
        self.addCleanup(dns.stop)
        return {"dns": {"servers": [dns.address]}, "next-hop": self.usual_config()["next-hop"] + [
            {"name": "partner", "zone": "outside", "identity": "a.example", "targets": ["tls:127.0.0.1:%d" % port]}]}

    def domain_server(self):
        made = tls_server.TlsServer(tls_server.context(self.authority, self.authority.leaf(scene.DOMAIN)))
        self.addCleanup(made.close)
        return made

    def test_dialog_of_a_domain_goes_to_its_next_hop_and_not_to_contact(self):
        # Nothing listens at the next hop. At Contact the domain itself does.
        contact = self.domain_server()
        edge = self.another_edge(self.partner(edge_process.free_port()))
        phones, insides = self.phones(6, edge=edge, supported="path"), self.insides(edge)
        dialogs = self.lose_flows(phones, edge)
        uri = "sip:user@127.0.0.1:%d;transport=tls" % contact.port
        with self.counted("outbound_connects_total", lambda n: n >= 1, edge=edge, peer="partner", result="refused"):
            for who in insides:
                for phone, seen in zip(phones, dialogs):
                    answer = who.exchange(self.bye_to(who, phone, seen, uri))
                    self.assertEqual(answer.status, 503, answer.raw)
        self.assertEqual((contact.sessions, contact.refusals), ([], 0))

    def test_dialog_of_a_domain_goes_on_where_the_domain_is_proved(self):
        server = self.domain_server()
        edge = self.another_edge(self.partner(server.port))
        phones, insides = self.phones(6, edge=edge, supported="path"), self.insides(edge)
        dialogs = self.lose_flows(phones, edge)
        for who in insides:
            for phone, seen in zip(phones, dialogs):
                self.assertEqual(who.exchange(self.bye_to(who, phone, seen)).status, 200)
        came = server.wait_requests("BYE", 2 * len(dialogs))
        self.assertEqual(sorted(m.call_id for m in came), sorted(2 * [seen.call_id for seen in dialogs]))
        # An open connection that proves the domain comes before; one of another domain never. Once it has been
        # answered, the edge knows it.
        other, node = self.client("URI:sip:b.example", edge=edge), self.client(edge=edge)
        self.assertEqual(other.exchange(request(sender="<sip:bob@b.example>;tag=1")).status, 200)
        self.assertEqual(node.exchange(request()).status, 200)
        for who in insides:
            for phone, seen in zip(phones, dialogs):
                who.send(self.bye_to(who, phone, seen))
                got = node.receive()
                self.assertEqual((got.method, got.call_id), ("BYE", seen.call_id), got.raw)
                node.send(response_to(got, 200, "OK"))
                self.assertEqual(who.receive(seen.call_id).status, 200)

    def test_dialog_of_a_user_goes_on_where_its_certificate_is_shown_or_nowhere(self):
        insides, user = self.insides(), "URI:sip:user1@a.example"
        context = self.context(user)

        def connect(its):
            made = tls_client.TlsClient(self.edge.port, its)
            self.addCleanup(made.close_quietly)
            return made

        phone = Phone(self, 1, self.edge.port, supported="path", client=connect(context))
        (seen,) = self.lose_flows([phone], self.edge)
        # Its domain, and the same name in another certificate.
        self.assertEqual(self.client().exchange(request()).status, 200)
        other = connect(self.context(user, eku="clientAuth")).exchange(request(sender="<%s>;tag=1" % phone.uri))
        self.assertEqual(other.status, 200)
        for who in insides:
            self.assert_refused(who.exchange(self.bye_to(who, phone, seen)), 430, "Flow Failed")
        again = connect(context)
        self.assertEqual(again.exchange(request(sender="<%s>;tag=1" % phone.uri)).status, 200)
        for who in insides:
            who.send(self.bye_to(who, phone, seen))
            got = again.receive()
            self.assertEqual((got.method, got.call_id), ("BYE", seen.call_id), got.raw)
            again.send(response_to(got, 200, "OK"))
            self.assertEqual(who.receive(seen.call_id).status, 200)

    def test_flow_tokens_outlive_reloads(self):
        edge = self.another_edge()
        phones, insides = self.phones(edge=edge), self.insides(edge)
        ringing = []
        for who in insides:
            for phone in phones[:6]:
                invite = self.to_phone(who, phone, "INVITE")
                who.send(invite)
                ringing.append((who, phone, invite, self.receive(phone, invite.call_id, "INVITE")))
        for changes in ({}, {"identity-header": {"mode": "none"}}, {"edge": {"domains": ["edge.example", "b.example"]}}):
            edge.reload(changes)
            for who in insides:
                for phone in phones:
                    wanted = self.to_phone(who, phone)
                    who.send(wanted)
                    phone.answer(self.receive(phone, wanted.call_id, "MESSAGE"), 200, "OK")
                    self.assertEqual(who.receive(wanted.call_id).status, 200)
        for who, phone, invite, seen in ringing:
            phone.answer(seen, 200, "OK")
            self.assertEqual(who.receive(invite.call_id).status, 200)

    def test_restart_ends_flows_but_not_dialogs(self):
        # A shard whose flows others have used waits a few seconds for what they may still await there.
        edge = self.another_edge({"timeouts": {"drain": "20s"}})
        phones, insides = self.phones(6, edge=edge), self.insides(edge)
        calls = []
        for phone in phones:
            invite = self.to_phone(insides[0], phone, "INVITE", to="<sip:sales@edge.example>",
                                   headers=self.inside_headers())
            insides[0].send(invite)
            seen = self.receive(phone, invite.call_id, "INVITE")
            phone.answer(seen, 200, "OK", headers=record_routes(seen))
            self.assertEqual(insides[0].receive(invite.call_id).status, 200)
            calls.append(seen)
        edge.terminate()
        for phone in phones:
            phone.client.wait_closed()
            phone.client.close()
        for who in insides[1:]:
            who.close()
        self.assertEqual(edge.wait_exit(), 0)
        edge.start()
        for who in self.insides(edge):
            for phone in phones:
                self.assert_refused(who.exchange(self.to_phone(who, phone)), 430, "Flow Failed")
        for phone, seen in zip(phones, calls):
            again = self.client(edge=edge, port=phone.port)  # The listener that its Route names.
            self.assertEqual(self.hang_up(phone, seen, again).status, 200)
            self.hop.wait(seen.call_id, "BYE")


class OneShardTest(Shards, scene.SceneTest):
    shards = 1


class FourShardsTest(Shards, scene.SceneTest):
    shards = 4


class FourShardsTcpTest(Shards, scene.SceneTest):
    """The next hop on TCP: every shard has a connection of its own to it."""

    shards = 4
    transport = "tcp"

    @classmethod
    def usual_config(cls):
        made = super().usual_config()
        made["listener"][1] = cls.inside("core", "udp")
        made["next-hop"][0]["listener"] = "core-tcp"
        return made


if __name__ == "__main__":
    scene.main()
