"""SIP messages that are odd in every way that we know of: legal ones that few write, and ones that no one may write.

A message is a list of lines and a body until it is written. A mutation changes one thing in it; a mutant has one to
four.
"""
import random

from . import odd_values


class Draft:
    """A message that is not written yet. `lines` are [name, what stands before the value, value]; all is Latin-1."""

    def __init__(self, start, lines, body=""):
        self.start = start
        self.lines = [[name, ": ", value] for name, value in lines]
        self.body = body
        self.end = ""       # What follows the body and belongs to no message.
        self.spared = ()    # Names of lines that stay as they are.
        self.cuts = []      # (where, how much, instead): changes of the written bytes, as shares of its length.

    def any(self, draw):
        """A line to be changed."""
        return draw.choice([line for line in self.lines if line[0].strip().lower() not in self.spared])

    def find(self, name):
        """The lines of that name, however it is written."""
        wanted = (name, odd_values.COMPACT.get(name, name))
        return [line for line in self.lines if line[0].strip().lower() in wanted]

    def bytes(self):
        text = self.start + "\r\n" + "".join(name + between + value + "\r\n" for name, between, value in self.lines)
        data = (text + "\r\n" + self.body + self.end).encode("latin-1")
        for where, removed, instead in self.cuts:
            at = int(where * len(data))
            data = data[:at] + instead + data[at + removed:]
        return data


def _fold(draw, draft):
    line = draft.any(draw)
    at = [n for n, letter in enumerate(line[2]) if letter == " "]
    if at and draw.random() < 0.6:
        n = draw.choice(at)
        line[2] = line[2][:n] + draw.choice(odd_values.FOLDS) + line[2][n + 1:]
    else:
        line[1] = ":" + draw.choice(odd_values.FOLDS)


def _space(draw, draft):
    for line in draw.sample(draft.lines, min(len(draft.lines), draw.randrange(1, 4))):
        line[1] = draw.choice(odd_values.SPACES) + ":" + draw.choice(odd_values.SPACES)
        line[2] += draw.choice(odd_values.SPACES)


def _length(draw, draft):
    size = len(draft.body)
    for line in draft.find("content-length"):
        line[0] = draw.choice(("Content-Length", "content-length", "CONTENT-LENGTH", "l", "L", "cOnTeNt-LeNgTh"))
        line[1] = draw.choice((":", ": ", " :", "\t: ", ":\t", ":\r\n ", ": \r\n\t", " \t:  "))
        line[2] = draw.choice(("%d", "0%d", "0000000%d", "%d ", "%d\t", "%d\r\n ", "%d", "%d")) % size
    if draw.random() < 0.15:
        draft.find("content-length")[0][2] = draw.choice(("+%d", "-%d", "%d;x", "%d,%d", "0x%d", "", "%d x",
                                                          "\"%d\"")).replace(
            "%d", str(size))


def _length_again(draw, draft):
    draft.lines.insert(draw.randrange(len(draft.lines) + 1), [
        draw.choice(("Content-Length", "l", "content-length ", "L")), ": ",
        str(len(draft.body) if draw.random() < 0.8 else draw.choice((0, 1, 7, 99999)))])


def _no_length(_draw, draft):
    for line in draft.find("content-length"):
        draft.lines.remove(line)


def _wrong_length(draw, draft):
    for line in draft.find("content-length"):
        line[2] = str(max(0, len(draft.body) + draw.choice((-3, -1, 1, 2, 17))))


def _twice(draw, draft):
    line = draft.any(draw)
    draft.lines.insert(draw.randrange(len(draft.lines) + 1), list(line))


def _unknown(draw, draft):
    for _ in range(draw.choice((1, 1, 1, 3, 60))):
        name = draw.choice(odd_values.NAMES) if draw.random() < 0.8 else "".join(draw.choices(odd_values.TOKEN,
                                                                                              k=draw.randrange(2, 20)))
        draft.lines.insert(draw.randrange(len(draft.lines) + 1), [name, draw.choice((": ", ":", " : ")),
                                                                  draw.choice(odd_values.VALUES)])


def _odd_text(draw, draft):
    line = draft.any(draw)
    at = draw.randrange(len(line[2]) + 1)
    line[2] = line[2][:at] + draw.choice(odd_values.ODD_TEXT) + line[2][at:]


def _odd_name(draw, draft):
    line = draft.any(draw)
    at = draw.randrange(len(line[0]) + 1)
    line[0] = line[0][:at] + draw.choice(("%", "`", "'", "_", "\x00", "\xe9", " ", "\t", ".", "%41")) + line[0][at:]


def _short_name(draw, draft):
    draft.lines.insert(draw.randrange(len(draft.lines) + 1), [
        draw.choice("abcdejknorsuwxy1%"), draw.choice((": ", ":", " : ")), draw.choice(odd_values.VALUES)])


def _underscore(draw, draft):
    draft.lines.insert(draw.randrange(len(draft.lines) + 1), [
        draw.choice(("Content_Length", "content_length", "Call_ID", "Max_Forwards", "Content_Type")), ": ",
        draw.choice(("0", "1", str(len(draft.body)), "9999"))])


def _compact(draw, draft):
    for line in draft.lines:
        if draw.random() < 0.5:
            line[0] = odd_values.COMPACT.get(line[0].lower(), line[0])


def _case(draw, draft):
    for line in draft.lines:
        line[0] = "".join(letter.swapcase() if letter.isascii() and draw.random() < 0.5 else letter
                          for letter in line[0])


def _order(draw, draft):
    draw.shuffle(draft.lines)


def _via(draw, draft):
    if draw.random() < 0.3:
        line = draft.find("via")[0]
        line[2] += draw.choice((";rport", ";rport=", ";received=192.0.2.1", ";maddr=x", ";ttl=1", ";", ";x=\"a,b\"",
                                ", " + odd_values.VIAS[0],
                                " (comment)", ";branch=2", ";sigcomp-id=\"<u>\"", ";alias", ";=", ";x=%00",
                                ";rport=99999"))
    else:
        above = draft.lines.index(draft.find("via")[0])
        draft.lines.insert(draw.randrange(above + 1, len(draft.lines) + 1), [draw.choice(("Via", "v", "VIA")), ": ",
                                                                             draw.choice(odd_values.VIAS)])


def _one_of(name, values):
    def mutate(draw, draft):
        lines = draft.find(name)
        if lines and draw.random() < 0.7:
            lines[0][2] = draw.choice(values)
        else:
            draft.lines.append([name.title(), ": ", draw.choice(values)])
    return mutate


def _to(draw, draft):
    for line in draft.find("to"):
        line[2] = draw.choice(odd_values.TOS)


def _from(draw, draft):
    for line in draft.find("from"):
        uri = line[2][line[2].index("<"):line[2].index(">") + 1] if ">" in line[2] else line[2]
        line[2] = draw.choice(("\"a, b\" ", "\"\\\"\" ", "Alice ", "", "\"J\xf6rg\" ",
                               "\"<sip:x@y>\" ")) + uri + draw.choice(
            (";tag=m", ";tag=m;x=y", ";x=\"a;b\";tag=m", " ; tag=m", ";tag=m;", "", ";tag=m.!%*_+`'~-", "\r\n ;tag=m"))


def _cseq(draw, draft):
    for line in draft.find("cseq"):
        number, _, method = line[2].partition(" ")
        line[2] = draw.choice(("0000%s %s", "%s  %s", "%s\t%s", "%s\r\n %s", " %s %s ", "%s %s x", "-%s %s",
                               "%s999999999 %s",
                               "%s.0 %s", "%s%s")) % (number, method)


def _max_forwards(draw, draft):
    for line in draft.find("max-forwards"):
        line[2] = draw.choice(("070", "70 ", "\t70", "255", "1", "0", "256", "-1", "70;x", "70\r\n ", "\r\n 70",
                               "00000000000070",
                               "", "seventy", "70 70"))


def _no_max_forwards(_draw, draft):
    for line in draft.find("max-forwards"):
        draft.lines.remove(line)


def _body(draw, draft):
    draft.body = draw.choice(("", "\r\n", "\r\n\r\n", "a\x00b\xff", "x" * 3000,
                              "OPTIONS sip:x SIP/2.0\r\nContent-Length: 9\r\n\r\n",
                              "v=0\r\n", "--b\r\n\r\n--b--", "Content-Length: 7\r\n\r\n", "z" * 20000))
    for line in draft.find("content-length"):
        line[2] = str(len(draft.body))


def _start(draw, draft):
    first, rest = draft.start.split(" ", 1)
    if first == "SIP/2.0":
        code, _, reason = rest.partition(" ")
        draft.start = draw.choice(("SIP/2.0 %s" % code, "SIP/2.0 %s " % code, "SIP/2.0 %s \xfcber\x01" % code,
                                   "SIP/2.0  %s  %s" % (code, reason), "sip/2.0 %s %s" % (code, reason),
                                   "SIP/2.0 %s0 x" % code,
                                   "SIP/2.0 %s %s" % (draw.choice(("183", "299", "499", "699", "099", "700", "2OO")),
                                                      reason),
                                   "SIP/2.0 %s a: b, c;d=\"e" % code, "SIP/2.0 %s %s " % (code, "r" * 2000)))
    else:
        method, uri = first, rest.split(" ")[0]
        draft.start = draw.choice(("%s %s SIP/2.0" % (method, draw.choice(odd_values.URIS)),) * 5 + (
            "%s  %s SIP/2.0" % (method, uri), "%s %s SIP/2.0 " % (method, uri), "%s %s sip/2.0" % (method, uri),
            " %s %s SIP/2.0" % (method, uri), "%s %s SIP/3.0" % (method, uri), "%s %s" % (method, uri),
            "%s\t%s\tSIP/2.0" % (method, uri)))


def _method(draw, draft):
    if draft.start.startswith("SIP/"):
        return
    method = draw.choice(("X", "options", "INVITe", "!%*_+`'~.-", "ACK", "CANCEL", "BYE", "PRACK", "SIP", "HEP3",
                          "M" * 200))
    draft.start = method + " " + draft.start.split(" ", 1)[1]
    for line in draft.find("cseq"):
        line[2] = line[2].partition(" ")[0] + " " + method


def _gone(draw, draft):
    draft.lines.remove(draft.any(draw))


def _no_colon(draw, draft):
    draft.lines.insert(draw.randrange(len(draft.lines) + 1), [draw.choice((
        "garbage", "Content-Length 5", " ", "\t", "Via", "X ; y", "\xff", "a b c", "Content-Length", "l")), "", ""])


def _long(draw, draft):
    draft.lines.append(["X-Long", ": ", draw.choice(("y" * 5000, "a," * 2000, ("y" * 70 + "\r\n ") * 60 + "z",
                                                     "\"" + "q" * 4000, "y" * 17000))])


def _line_end(draw, draft):
    line = draft.any(draw)
    line[2] += draw.choice(("\n", "\r", "\nX: y", "\rX: y", "\r\r", "\n ", "\r\n \r\nX: y", "\r\n\t", " \n\n"))


def _bytes(draw, draft):
    for _ in range(draw.choice((1, 1, 2, 8))):
        instead = bytes(draw.choices(range(256), k=draw.choice((0, 1, 1, 3))))
        draft.cuts.append((draw.random(), draw.choice((0, 1, 1, 2)), instead))


def _behind(draw, draft):
    draft.end = draw.choice(("\r\n", "\r\n\r\n", "\r\n\r\n\r\n\r\n\r\n\r\n", "\n", " ", "\x00"))


MUTATIONS = {
    "fold": (_fold, 12), "space": (_space, 12), "length": (_length, 12), "length again": (_length_again, 5),
    "no length": (_no_length, 1), "wrong length": (_wrong_length, 1), "twice": (_twice, 4), "unknown": (_unknown, 12),
    "odd text": (_odd_text, 8), "odd name": (_odd_name, 6), "short name": (_short_name, 3), "underscore": (_underscore,
                                                                                                           3),
    "compact": (_compact, 6),
    "case": (_case, 5), "order": (_order, 6),
    "via": (_via, 10), "route": (_one_of("route", odd_values.ROUTES), 6), "contact": (_one_of("contact",
                                                                                              odd_values.CONTACTS),
                                                                                      10), "to": (_to, 6),
    "from": (_from, 8), "cseq": (_cseq, 5), "max-forwards": (_max_forwards, 5), "no max-forwards": (_no_max_forwards,
                                                                                                    3),
    "body": (_body, 10), "start": (_start, 6), "method": (_method, 3), "gone": (_gone, 2), "no colon": (_no_colon, 3),
    "long": (_long, 3), "line end": (_line_end, 3), "bytes": (_bytes, 6), "behind": (_behind, 3),
}


class Mutator:
    """Makes mutants; the same ones for the same seed. `excluded` names mutations that are left out, `spared` lines of
    which only case, spacing and order change."""

    def __init__(self, seed, excluded=(), spared=()):
        self._draw = random.Random(seed)
        self._names = [name for name in MUTATIONS if name not in excluded]
        self._weights = [MUTATIONS[name][1] for name in self._names]
        self._spared = spared

    def choice(self, values):
        return self._draw.choice(values)

    def mutate(self, draft):
        """The bytes of a mutant of `draft`, and the names of what is odd in it."""
        draft.spared = self._spared
        names = self._draw.choices(self._names, self._weights, k=self._draw.choice((1, 1, 1, 2, 2, 3, 4)))
        for name in names:
            try:
                MUTATIONS[name][0](self._draw, draft)
            except (IndexError, ValueError):
                pass  # What it changes has gone by an earlier one.
        return draft.bytes(), names
