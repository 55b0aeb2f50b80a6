"""Values of header fields that few telephones write, and some that none may write: what mutants are made of."""

TOKEN = "abcXYZ019-.!%*_+`'~"
SPACES = (" ", "\t", "  ", " \t", "")
FOLDS = ("\r\n ", "\r\n\t", " \r\n  ", "\r\n \t ")
ODD_TEXT = ("J\xfcrg", "\xff\xfe", "\xe2\x80\xa8", "\x7f", "caf\xe9", "\x00", "\x01", "\x0b", "\\\"", "\"", "<", ">",
            ",",
             ";", "#", "%00", "%0d%0a", "\\", "\x85", "\ufffd".encode().decode("latin-1"))
COMPACT = {"via": "v", "from": "f", "to": "t", "call-id": "i", "content-length": "l", "content-type": "c",
           "contact": "m",
            "supported": "k", "subject": "s", "event": "o", "refer-to": "r"}
VIAS = ("SIP/2.0/UDP my_phone;branch=z9hG4bKx", "SIP/2.0/", "", ",",
        "SIP / 2.0 / TCP [::1]:5060 ;ttl=1;maddr=224.0.1.75",
         "SIP/2.0/TLS a.example (note, with a comma);branch=z9hG4bKc",
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/WSS x",
         "SIP/2.0/UDP h;sigcomp-id=\"<urn:uuid:0>\"", "HTTP/1.1/TCP x", "SIP/2.0/TLS \xfc.example;branch=\x80")
CONTACTS = ("<sip:*72#@10.0.0.1>", "<sip:PBX#1000#905@10.0.0.5>", "\"J\xf6rg\" <sip:b@10.0.0.5>", "*", "", ",",
            "<sip:a@b>;;,",
             "<sip:b@[::1]:5060>;expires=0;q=9.9", "sip:b@10.0.0.5;x=y?Route=%3Csip:x%3E",
            "<sip:b@h>, <sip:c@h>, <sips:d@h>",
             "\"a\\\"b,c;d\" <sip:b@h>", "<<sip:b@h>", "<sip:b@h", "<tel:+1-2>", "<sip:b@h;thinfo=\"x\">",
            "<sip:b@my_host>")
TOS = ("\"J\xf6rg\" <sip:bob@edge.example>", "<sip:b#1@edge.example>", "sip:u;phone-context=+49@edge.example",
        "<sip:bob@edge.example>;x=\"a;tag=2\"", "<sip:bob@edge.example>;;", "\"a\\\\\" <sip:bob@edge.example>",
        "<sip:bob@edge.example>;thinfo=\"\xe9\"", "<sip:bob@edge.example", "", "<sip:bob@edge.example>;tag=",
        "<tel:+49-1>", "\"<sip:x@y>;tag=1\" <sip:bob@edge.example>", "bob <sip:bob@edge.example> ; x")
ROUTES = ("<sip:edge.example;lr>", "<sip:orig@edge.example;lr>", "<sip:192.0.2.1;lr>", "sip:x", "",
          "<sip:edge.example>",
           "\"x\" <sip:edge.example;lr>,<sip:y.example;lr>", "<sip:AAAA@edge.example;lr>", "<sip:\xff;lr>", "<,>")
URIS = ("sip:bob@edge.example;x=%41", "sip:bob@EDGE.example", "sip:edge.example", "sip:bob@edge.example?h=1",
         "sip:b%6fb@edge.example", "sip:bob:pw@edge.example", "sip:bob@edge.example;lr;maddr=192.0.2.1", "tel:+49-30",
         "sips:bob@edge.example", "sip:bob@edge.example;transport=udp", "sip:b#b@edge.example",
        "<sip:bob@edge.example>",
         "sip:bob@edge.example.", "sip:%62%6f%62@edge.example", "sip:bob@edge.example;user=phone;x=\"y\"",
        "urn:service:sos")
NAMES = ("X-%41", "Content%2dLength", "Content-Length`", "Content-Length-X", "l%", "l'", "L!", "X", "X!", "ll",
          "Content-Lengt", "Transfer-Encoding", "Content-Encoding", "Content-Disposition", "Via-X", "V'", "`", "%",
         "1", "Fro",
          "P-Asserted-Identity", "Privacy", "Proxy-Authorization", "Authorization", "Date", "Expires", "Event",
         "Allow", "RAck",
          "Session-Expires", "Identity", "Path", "Record-Route", "Reason", "Require", "Timestamp", "Replaces",
         "Refer-To",
          "Warning", "Accept", "Content-Length.", "Content-Length+", "CSeq'", "Call-ID~", "Route*", "Max-Forwards_")
VALUES = ("", "0", "5", "9999", "chunked", "x", "\"a", "a\"b\"c", "<sip:x@y>", "1 INVITE", ",,", ";;", "=", "a, b",
          "Mon, 99", "-1",
           "\"\\\r\n x\"", "a\r\n b", "\r\n x", "x" * 900, "\xe9\xe8", "<sip:x@edge.example;lr>",
          "SIP;cause=200;text=\"\xfc\"")
