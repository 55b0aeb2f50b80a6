"""However the bytes are cut, the verdicts are the same: single bytes, pipelines, records cut at every offset."""
from harness import scene
from harness.messages import request, response_to

GOOD, FOREIGN = "<sip:alice@a.example>;tag=1", "<sip:bob@b.example>;tag=1"


class Chunking:
    """Run below for both versions of TLS."""

    version = None

    def verdicts(self, client, count):
        answers = {}
        for _ in range(count):
            answer = client.receive_final()
            answers[answer.call_id] = answer.status
        return answers

    def check(self, client, requests):
        """Accepted ones reach the next hop once, foreign ones never; `requests` is a list of (request, verdict)."""
        answers = self.verdicts(client, len(requests))
        self.assertEqual(answers, {wanted.call_id: verdict for wanted, verdict in requests})
        for wanted, verdict in requests:
            self.assertEqual(len(self.hop.seen(wanted.call_id)), 1 if verdict == 200 else 0)

    def test_single_bytes_in_records_of_their_own(self):
        client = self.client(version=self.version)
        for sender, verdict in ((GOOD, 200), (FOREIGN, 403), (GOOD, 200)):
            wanted = request(sender=sender, body=b"body\r\n\r\n")
            client.send_pieces(wanted.bytes[n:n + 1] for n in range(len(wanted.bytes)))
            self.check(client, [(wanted, verdict)])

    def test_ciphertext_in_segments_of_single_bytes(self):
        client = self.client(version=self.version)
        for sender, verdict in ((GOOD, 200), (FOREIGN, 403)):
            wanted = request(sender=sender)
            sealed = client.sealed(wanted.bytes)
            for n in range(len(sealed)):
                client.send_ciphertext(sealed[n:n + 1])
            self.check(client, [(wanted, verdict)])

    def test_split_over_two_records_at_every_offset(self):
        client = self.client(version=self.version)
        size = len(request(body=b"12345").bytes)
        for sender, verdict in ((GOOD, 200), (FOREIGN, 403)):
            for offset in range(1, size):
                wanted = request(sender=sender, body=b"12345")
                client.send_pieces([wanted.bytes[:offset], wanted.bytes[offset:]])
                answer = client.receive_final(wanted.call_id)
                self.assertEqual(answer.status, verdict, "cut at %d" % offset)
                self.assertEqual(len(self.hop.seen(wanted.call_id)), 1 if verdict == 200 else 0)

    def test_pipeline_split_at_every_offset_of_its_middle(self):
        # The middle request is cut while its neighbours share the records: accepted, foreign, accepted.
        client = self.client(version=self.version)
        size = len(request(sender=FOREIGN).bytes)
        for offset in range(0, size + 1, 3):
            first, middle, last = request(), request(sender=FOREIGN), request(body=b"tail")
            client.send_pieces([first.bytes + middle.bytes[:offset], middle.bytes[offset:] + last.bytes])
            self.check(client, [(first, 200), (middle, 403), (last, 200)])

    def test_many_requests_in_one_record(self):
        client = self.client(version=self.version)
        requests = [(request(sender=sender), verdict)
                    for sender, verdict in [(GOOD, 200), (FOREIGN, 403), (GOOD, 200)] * 8]
        data = b"".join(wanted.bytes for wanted, _ in requests)
        self.assertLess(len(data), 16384)
        client.send(data)
        self.check(client, requests)

    def test_more_requests_than_one_turn_serves(self):
        client = self.client(version=self.version)
        requests = [(request(sender=FOREIGN if n % 7 == 0 else GOOD, body=b"x" * (n % 50)), 403 if n % 7 == 0 else 200)
                    for n in range(300 if self.transport == "tcp" else 60)]
        client.send(b"".join(wanted.bytes for wanted, _ in requests))
        self.check(client, requests)

    def test_one_request_in_many_records_and_one_segment(self):
        client = self.client(version=self.version)
        wanted = request(body=b"abc")
        sealed = b"".join(client.sealed(wanted.bytes[n:n + 7]) for n in range(0, len(wanted.bytes), 7))
        client.send_ciphertext(sealed)
        self.check(client, [(wanted, 200)])

    def test_largest_body_over_many_records(self):
        client = self.client(version=self.version)
        size = 40000 if self.transport == "tcp" else 8000
        wanted = request(body=b"z" * size)
        client.send(wanted)
        self.check(client, [(wanted, 200)])
        self.assertEqual(len(self.hop.seen(wanted.call_id)[0].body), size)

    def test_large_burst_directly_behind_the_handshake(self):
        # The client is done before the edge has verified it; what follows at once must wait, not count against it.
        for _ in range(5):
            client = self.client(version=self.version)
            requests = [(request(body=b"b" * 30000), 200) for _ in range(4)]
            client.send(b"".join(wanted.bytes for wanted, _ in requests))
            self.check(client, requests)

    def test_pings_between_and_inside_records(self):
        client = self.client(version=self.version)
        first, second = request(), request(sender=FOREIGN)
        client.send(b"\r\n\r\n" + first.bytes + b"\r\n\r\n" + second.bytes + b"\r\n\r\n")
        self.check(client, [(first, 200), (second, 403)])
        client.receive_keep_alive(3)


class ChunkingTls12Test(Chunking, scene.SceneTest):
    version = "1.2"


class ChunkingTls13Test(Chunking, scene.SceneTest):
    version = "1.3"
    transport = "tcp"


class ChunkedNextHopTest(scene.SceneTest):
    """The stream from a next hop on TCP is cut as badly."""

    transport = "tcp"

    def test_responses_in_single_bytes_and_in_one_piece(self):
        client = self.client()
        first, second = request(), request()
        answers = []

        def collect(hop, message):
            answers.append(response_to(message, 200, "OK", body=b"0123456789"))
            if len(answers) == 2:
                data = b"".join(answers)
                for n in range(len(answers[0]) + 20):
                    hop.send(data[n:n + 1], message.origin)
                hop.send(data[len(answers[0]) + 20:], message.origin)

        for wanted in (first, second):
            self.hop.rules[wanted.call_id] = collect
        client.send(first.bytes + second.bytes)
        received = [client.receive_final() for _ in range(2)]
        self.assertEqual({answer.call_id for answer in received}, {first.call_id, second.call_id})
        self.assertEqual([answer.body for answer in received], [b"0123456789"] * 2)


if __name__ == "__main__":
    scene.main()
