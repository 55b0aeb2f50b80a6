"""What is refused before anything is forwarded: RFC 3261 §16.3, the relay rule, sips, and messages that are none."""
from harness import messages, scene
from harness.messages import request


class RequestValidationTest(scene.SceneTest):

    def refuse(self, wanted, status, reason, phrase=None, client=None):
        """One refusal: response, counter, nothing forwarded, connection still in use."""
        client = client or self.client()
        with self.rejected(reason):
            answer = client.exchange(wanted)
        self.assert_refused(answer, status, phrase)
        self.assertEqual(len(answer.vias()), 1)
        self.assert_never_forwarded(client, wanted)
        return answer

    def test_max_forwards_zero(self):
        self.refuse(request(max_forwards="0"), 483, "max-forwards")

    def test_max_forwards_one_passes_as_zero(self):
        wanted = request(max_forwards="1")
        self.assertEqual(self.client().exchange(wanted).status, 200)
        self.assertEqual(self.hop.seen(wanted.call_id)[0].header("max-forwards"), "0")

    def test_options_to_us_with_max_forwards_zero_is_answered(self):
        client = self.client()
        wanted = request("OPTIONS", uri="sip:edge.example", max_forwards="0")
        answer = client.exchange(wanted)
        self.assertEqual(answer.status, 200)
        self.assertIn(";tag=", answer.header("to"))
        self.assert_never_forwarded(client, wanted)

    def test_loop(self):
        client = self.client()
        first = request()
        self.assertEqual(client.exchange(first).status, 200)
        # Somebody routes back to us what we sent: our Via is in it and nothing that routing depends on has changed.
        (seen,) = self.hop.seen(first.call_id)
        looped = request(call_id=first.call_id, headers=["Via: " + via for via in seen.vias()])
        with self.rejected("loop"):
            self.assert_refused(client.exchange(looped), 482)
        self.assertEqual(len(self.hop.seen(first.call_id)), 1)

    def test_spiral_is_no_loop(self):
        # RFC 3261 §16.3 step 4: the same request for another target may pass us again.
        client = self.client()
        first = request()
        self.assertEqual(client.exchange(first).status, 200)
        (seen,) = self.hop.seen(first.call_id)
        spiral = request(uri="sip:carol@edge.example", call_id=first.call_id,
                         headers=["Via: " + via for via in seen.vias()])
        self.assertEqual(client.exchange(spiral).status, 200)

    def test_unknown_scheme(self):
        for uri in ("http://edge.example/", "nobodyKnows:opaque", "mailto:bob@edge.example"):
            with self.subTest(uri=uri):
                self.refuse(request(uri=uri), 416, "uri-scheme")

    def test_proxy_require(self):
        answer = self.refuse(request(headers=["Proxy-Require: foo, bar", "Require: baz"]), 420, "proxy-require")
        # RFC 3261 §16.3 step 5: those that we do not understand, and Require is not for proxies.
        self.assertEqual([tag.strip() for tag in answer.header("unsupported").split(",")], ["foo", "bar"])

    def test_require_is_not_for_a_proxy(self):
        self.assertEqual(self.client().exchange(request(headers=["Require: 100rel"])).status, 200)

    def test_other_version(self):
        for version in ("SIP/3.0", "SIP/7.0", "SIP/1.0"):
            with self.subTest(version=version):
                client = self.client()
                with self.rejected("version"):
                    client.send(request(version=version))
                    self.assert_refused(client.receive_final(), 505)

    def test_malformed_messages(self):
        cases = {
            "no To": request(omit=("to",)),
            "no Call-ID": request(omit=("call-id",)),
            "no CSeq": request(omit=("cseq",)),
            "two To": request(headers=["To: <sip:carol@edge.example>"]),
            "two CSeq": request(headers=["CSeq: 2 MESSAGE"]),
            "two Call-ID": request(headers=["Call-ID: other"]),
            "CSeq of another method": request(cseq_method="INVITE"),
            "CSeq beyond 2^31": request(cseq="2147483648"),
            "CSeq no number": request(cseq="1x"),
            "Max-Forwards beyond 255": request(max_forwards="256"),
            "Max-Forwards negative": request(max_forwards="-1"),
            "Max-Forwards no number": request(max_forwards="many"),
            "two Max-Forwards": request(headers=["Max-Forwards: 70"]),
            "Via without host": request(via="SIP/2.0/TLS ;branch=z9hG4bKx"),
            "two Content-Length": request(headers=["Content-Length: 0"]),
            "To unclosed": request(to="<sip:bob@edge.example"),
            "angle brackets around the Request-URI": request(uri="<sip:bob@edge.example>"),
            "headers in the Request-URI": request(uri="sip:bob@edge.example?Route=%3Csip:x.example%3E"),
            "space in a header name": request(headers=["Bad Name: 1"]),
            "line without colon": request(headers=["no colon here"]),
            "control character before the colon": request(headers=[b"X-A\x0b: 1"]),
            "NUL in a header": request(headers=[b"X-A: a\x00b"]),
            "bare CR in a header": request(headers=[b"X-A: a\rX-B: b"]),
            "bare LF in a header": request(headers=[b"X-A: a\nX-B: b"]),
            "empty header name": request(headers=[": x"]),
        }
        for name, wanted in cases.items():
            with self.subTest(case=name):
                client = self.client()
                with self.rejected("malformed"):
                    client.send(wanted)
                    answer = client.receive_final()
                self.assertEqual(answer.status, 400, answer.raw)
                self.assertGreater(len(answer.reason), 5, "400 says the rule in its reason phrase")
                self.assertEqual(self.hop.seen(wanted.call_id), [])
        self.assertEqual(self.client().exchange(request()).status, 200)

    def test_what_decides_nothing_passes(self):
        client = self.client()
        for line in ("Via: SIP/2.0/", "Contact: <sip:*72#@10.0.0.1>;;,", b"Contact: \"J\xf6rg\" <sip:b@10.0.0.5>",
                     "Refer-To: <<"):
            with self.subTest(line=line):
                self.assertEqual(client.exchange(request(headers=[line])).status, 200)
        for to in ("<sip:b#1@edge.example>", "sip:u;phone-context=+49@edge.example"):
            with self.subTest(to=to):
                self.assertEqual(client.exchange(request(to=to)).status, 200)

    def test_a_refused_message_costs_itself_alone(self):
        client = self.client()
        for line in ("no colon here", "Bad Name: 1", b"X-A: a\x00b", "Content-Length: 0"):
            with self.subTest(line=line):
                self.assertEqual(client.exchange(request(headers=[line])).status, 400)
        self.assertEqual(client.exchange(request()).status, 200)

    def test_no_via_is_refused_or_dropped(self):
        # There is nowhere to answer by Via, but the connection is there (RFC 3261 §18.2.2); either is right.
        client = self.client()
        wanted = request(omit=("via",))
        with self.rejected("malformed"):
            client.send(wanted)
            probe = request()
            client.send(probe)
            answer = client.receive()
            self.assertTrue(answer.call_id == probe.call_id or answer.status == 400)
        self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_unreadable_from_has_a_reason_of_its_own(self):
        for lines in (b"", b"From: <sip:alice@a.example>;tag=1\r\nf: <sip:alice@a.example>;tag=1", b"From: <>",
                      b"From: <sip:alice@a.example"):
            with self.subTest(lines=lines):
                client = self.client()
                with self.rejected("from-malformed"):
                    answer = client.exchange(request(from_lines=lines))
                self.assertEqual((answer.status, answer.reason), (400, "Malformed From Header"))

    def test_unknown_framing_closes_the_connection(self):
        for name, wanted in {
                "absent": request(omit=("content-length",)),
                "two that differ": request(headers=["Content-Length: 3"], body=b"abcd"),
                "negative": request(content_length="-1"),
                "hexadecimal": request(content_length="0x10"),
                "signed": request(content_length="+0"),
                "beyond 2^32": request(content_length="4294967328"),
                "list": request(content_length="0,0"),
                "empty": request(content_length="")}.items():
            with self.subTest(case=name):
                client = self.client()
                smuggled = request()
                with self.rejected("framing"):
                    client.send(wanted.bytes + smuggled.bytes)
                    messages_before_the_end = client.wait_closed()
                self.assertEqual([m.status for m in messages_before_the_end], [400])
                for hidden in (wanted, smuggled):
                    self.assertEqual(self.hop.seen(hidden.call_id), [])

    def test_other_protocols_are_closed(self):
        for data in (b"GET / HTTP/1.1\r\nHost: edge.example\r\n\r\n", b"HELO example\r\n\r\n",
                     b"\x00" * 64 + b"\r\n\r\n", b"\x16\x03\x01\x00\x05hello\r\n\r\n"):
            with self.subTest(data=data):
                client = self.client()
                client.send(data)
                answers = client.wait_closed()
                self.assertLessEqual(len(answers), 1)
        self.assertEqual(self.client().exchange(request()).status, 200)

    def test_relaying(self):
        for uri in ("sip:bob@elsewhere.example", "sip:bob@sub.edge.example", "sip:bob@edge.example.org",
                    "sip:bob@127.0.0.1", "sip:edge.example@elsewhere.example"):
            with self.subTest(uri=uri):
                self.refuse(request(uri=uri), 403, "relay", "Relaying Forbidden")

    def test_request_uri_host_is_compared_without_case(self):
        self.assertEqual(self.client().exchange(request(uri="sip:bob@EDGE.Example")).status, 200)

    def test_unsigned_route_leads_nowhere(self):
        # Nothing from outside is resolved from Route or maddr: it goes to the next hop that was configured, or nowhere.
        for more in ({"headers": ["Route: <sip:192.0.2.1;lr>"]}, {"uri": "sip:bob@edge.example;maddr=192.0.2.1"}):
            with self.subTest(more=more):
                wanted = request(**more)
                answer = self.client().exchange(wanted)
                self.assertIn(answer.status, (200, 403))
                self.assertEqual(len(self.hop.seen(wanted.call_id)), 1 if answer.status == 200 else 0)

    def test_responses_from_outside_are_dropped_and_never_answered(self):
        client = self.client()
        unknown = ("SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS edge.example;branch=z9hG4bKnobody\r\n"
                   "From: <sip:bob@edge.example>;tag=1\r\nTo: <sip:alice@a.example>;tag=2\r\nCall-ID: stray\r\n"
                   "CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n").encode()
        with self.counted("sip_responses_dropped_total", 2):
            client.send(unknown)
            client.send(unknown.replace(b"200 OK", b"407 Proxy Authentication Required"))
            probe = request()
            client.send(probe)
            self.assertEqual(client.receive().call_id, probe.call_id)
        self.assertEqual(self.hop.seen("stray"), [])

    def test_order_of_judging(self):
        # Syntax before identity, identity before Max-Forwards, that before relaying.
        foreign = "<sip:mallory@b.example>;tag=1"
        self.refuse(request(sender=foreign, cseq="x"), 400, "malformed")
        self.refuse(request(sender=foreign, max_forwards="0"), 403, "from-not-covered")
        self.refuse(request(sender=foreign, uri="http://x/"), 403, "from-not-covered")
        self.refuse(request(uri="sip:bob@elsewhere.example", max_forwards="0"), 483, "max-forwards")
        self.refuse(request(uri="sip:bob@elsewhere.example", headers=["Proxy-Require: x"]), 420, "proxy-require")

    def test_refusals_copy_what_a_response_must_copy(self):
        client = self.client()
        wanted = request(max_forwards="0", headers=["Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKlower"], cseq=4711)
        answer = client.exchange(wanted)
        self.assertEqual(len(answer.vias()), 2)
        self.assertEqual(answer.header("from"), "<sip:alice@a.example>;tag=1")
        self.assertEqual(answer.header("cseq"), "4711 MESSAGE")
        self.assertEqual(answer.header("content-length"), "0")


class SipsTest(scene.SceneTest):
    """RFC 5630 §3.1: a sips request never leaves on a hop that is not TLS; and the three settings of a listener."""

    @classmethod
    def usual_config(cls):
        config = super().usual_config()
        config["listener"].insert(1, cls.outside("off", sips="off"))
        config["listener"].insert(2, cls.outside("required", sips="required"))
        return config

    def check(self, listener, uri, warning):
        client = self.client(port=self.edge.listener_port(listener))
        wanted = request(uri=uri)
        with self.rejected("sips"):
            answer = client.exchange(wanted)
        self.assert_refused(answer, 480)
        self.assertRegex(answer.header("warning"), r"^%d " % warning)
        self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_rfc5630_sips_does_not_leave_on_udp(self):
        self.check("federation", "sips:bob@edge.example", 380)

    def test_rfc5630_sips_where_it_is_off(self):
        self.check("off", "sips:bob@edge.example", 380)

    def test_rfc5630_sip_where_sips_is_required(self):
        self.check("required", "sip:bob@edge.example", 381)


class SeveralDomainsTest(scene.SceneTest):
    config = {"edge": {"domains": ["edge.example", "Second.Example", "192.0.2.80"]}}

    def test_all_domains_are_served(self):
        client = self.client()
        for host in ("edge.example", "second.example", "SECOND.EXAMPLE", "192.0.2.80"):
            with self.subTest(host=host):
                self.assertEqual(client.exchange(request(uri="sip:bob@%s;x=y" % host)).status, 200)
        for host in ("third.example", "192.0.2.8"):
            with self.subTest(host=host):
                self.assert_refused(client.exchange(request(uri="sip:bob@" + host)), 403)


class HeaderLimitTest(scene.SceneTest):
    config = {"limits": {"headers": 40, "header-bytes": 4096, "body-bytes": 2000}}

    def refuse_alone(self, wanted):
        """It is read past: the next message on the connection is served."""
        client = self.client()
        with self.rejected("too-large"):
            client.send(wanted)
            self.assertEqual(client.receive_final().status, 513)
        self.assertEqual(self.hop.seen(wanted.call_id), [])
        self.assertEqual(client.exchange(request()).status, 200)

    def close_with(self, wanted):
        client = self.client()
        with self.rejected("too-large"):
            client.send(wanted)
            answers = client.wait_closed()
        self.assertEqual([answer.status for answer in answers], [513])
        self.assertEqual(self.hop.seen(wanted.call_id), [])

    def test_body_at_the_limit_and_one_beyond(self):
        self.assertEqual(self.client().exchange(request(body=b"x" * 2000)).status, 200)
        self.refuse_alone(request(body=b"x" * 2001))
        self.refuse_alone(request(body=b"x" * 32000))

    def test_body_that_is_only_announced_is_refused_at_once(self):
        client = self.client()
        with self.rejected("too-large"):
            client.send(request(content_length=2001))
            self.assertEqual(client.receive_final().status, 513)
        self.close_with(request(content_length=2000 * 17))

    def test_headers_at_the_limit_and_beyond(self):
        def sized(total):
            names = {"call_id": messages.unique("size-"), "branch": "z9hG4bK" + messages.unique("s")}
            bare = len(request(headers=["X-Pad: "], **names).bytes)
            return request(headers=["X-Pad: " + "p" * (total - bare)], **names)
        self.assertEqual(self.client().exchange(sized(4096)).status, 200)
        self.refuse_alone(sized(4096 + 16))
        self.refuse_alone(sized(40960))
        self.close_with(sized(4096 * 17))

    def test_number_of_headers(self):
        bare = request().bytes.count(b"\r\n") - 2
        client = self.client()
        self.assertEqual(client.exchange(request(headers=["X-N: 1"] * (40 - bare))).status, 200)
        client.send(request(headers=["X-N: 1"] * (41 - bare)))
        self.assertEqual(client.receive_final().status, 513)


if __name__ == "__main__":
    scene.main()
