"""Messages as telephones and trunks send them that are not quite by the grammar: what passes a proxy unchanged, because
nothing of it decides, and what is refused, alone and without an end to its stream."""
from .messages import response_to

# Lines that a request or a response has besides its usual ones, as they must arrive.
PASSING = {
    "contact of a feature code": b"Contact: <sip:*72#@10.0.0.1>",
    "contact of an extension": b"Contact: <sip:PBX#1000#905@10.0.0.5>",
    "contact in Latin-1": b"Contact: \"J\xe9r\xf4me\" <sip:bob@10.0.0.5>",
    "contact with a trailing semicolon": b"Contact: <sip:bob@10.0.0.5>;",
    "contact with quotes in its URI": b"Contact: <sip:bob@10.0.0.5;thinfo=\"a b\">",
    "contact of a container": b"Contact: <sip:bob@my_phone:5060>",
    "lower Via of a container": b"Via: SIP/2.0/UDP my_phone;branch=z9hG4bKx",
    "lower Via with a quoted parameter": b"Via: SIP/2.0/UDP h;branch=z9hG4bKx;sigcomp-id=\"<urn:uuid:0>\"",
    "a reason of a CANCEL": b"Reason: SIP;cause=200;text=\"Call completed elsewhere\"",
    "bytes of no alphabet": b"X-Text: \xff\xfe\xe2\x80\xa8",
}
# To of a request.
PASSING_TO = {
    "To in Latin-1": "\"J\udce9r\udcf4me\" <sip:bob@edge.example>",
    "To without angle brackets": "sip:u;phone-context=+49@edge.example",
    "To with a hash": "<sip:b#1@edge.example>",
    "To with a quoted parameter": "<sip:bob@edge.example>;thinfo=\"a b\"",
}
# Lines for which a request is answered so, and a response is dropped.
REFUSED = {
    "a line without colon": (400, b"garbage"),
    "an empty name": (400, b": x"),
    "a space in a name": (400, b"X Y: z"),
    "a control character": (400, b"X-A: a\x01z"),
    "a NUL": (400, b"X-A: a\x00z"),
    "Content-Length again": (400, b"Content-Length: 0"),
    "more fields than are allowed": (513, b"\r\n".join([b"X: y"] * 140)),
    "more bytes of headers than are allowed": (513, b"X-A: " + b"y" * 17000),
}
TOO_LARGE = b"z" * 70000  # A body beyond the limit.


def odd_requests(write):
    """(kind, request, status of its answer or None, line that must arrive) of every kind. `write(**parts)` is request()
    with what is usual for the sender."""
    for kind, line in PASSING.items():
        yield kind, write(headers=[line], omit=("contact",)), None, line
    for kind, to in PASSING_TO.items():
        yield kind, write(to=to), None, b"To: " + to.encode("utf-8", "surrogateescape")
    for kind, (status, line) in REFUSED.items():
        yield kind, write(headers=[line]), status, None


def odd_responses(message, status=200, reason="OK"):
    """(kind, response to `message` as bytes, line that must arrive) of every kind; without a line it is dropped."""
    for kind, line in PASSING.items():
        if not line.startswith(b"Via:"):  # These are the caller's; a response copies them.
            yield kind, _with(response_to(message, status, reason, tag="odd"), line), line
    for kind, (_, line) in REFUSED.items():
        # No answer refuses a response: one that says its length twice loses the second line.
        passes = b"Content-Length: 0" if kind == "Content-Length again" else None
        yield kind, _with(response_to(message, status, reason, tag="odd"), line), passes


def large_response(message, status=200, reason="OK"):
    return response_to(message, status, reason, tag="odd", body=TOO_LARGE)


def _with(response, line):
    """Behind the other lines, in the place of a Contact that is there."""
    head, _, body = response.partition(b"\r\n\r\n")
    lines = [one for one in head.split(b"\r\n") if not one.startswith(b"Contact:")]
    return b"\r\n".join(lines[:-1] + [line] + lines[-1:]) + b"\r\n\r\n" + body
