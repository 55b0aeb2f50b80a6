"""The lines of bench/regress: what sipbench does to two builds in turn, and what came of it."""

import statistics

import paired
from builds import CLIENT, EDGE, INVITE_ANSWER, PARTNER, Unmeasured

FAILED_PAIRS_MAX = 3
NEVER_SEEN = 24  # Handshakes of a slice.
# A failure leaves no state behind, where a 200 would leave both transactions in Accepted for half a minute (RFC 6026).
# The sink rings before it, and that 180 carries Record-Route, To-tag and Contact as a 200 does.
INVITE = ["--method", "INVITE"]


class Row:
    """One line of the table: what sipbench does to two servers in turn, and the ratios of the pairs so far."""

    unit = "µs"

    def __init__(self, key, title, *arguments, code=None, identities=None, from_inside=False):
        self.key, self.title, self.arguments = key, title, arguments
        self.code = code              # The only one that may be answered.
        self.identities = identities  # Folder of certificates, of each connection another.
        self.from_inside = from_inside
        self.ratios, self.figures, self.problems = [], ([], []), []

    def measure(self, bench, first, second):
        """For each build a list of lists: the figures of each quartet. May raise Unmeasured."""
        report = bench.sipbench(*self.arguments, *first.door(self.from_inside), "--server-pid", first.process.pid,
                                "--versus", second.address(self.from_inside), "--versus-pid", second.process.pid,
                                *self.identities_of(bench))
        for side, build in (("first", first), ("second", second)):
            refuse(build, {name: report.get(f"{side}_{name}") for name in ("failures", "faults", "unanswered")})
            if self.code and set(report[f"{side}_codes"]) != {self.code}:
                raise Unmeasured(f"{build.name} answered {report[f'{side}_codes']}")
        both = report["first_cpu_us_per_op"], report["second_cpu_us_per_op"]
        if not len(both[0]) == len(both[1]) > 1:
            raise Unmeasured("sipbench did not finish its slices")
        return [[figures[i:i + 2] for i in range(0, len(figures), 2)] for figures in both]

    def identities_of(self, bench):
        return ["--identities", bench.certificates.folder / self.identities] if self.identities else []

    def add(self, base, new):
        """Lists of what was measured together, such as the slices of a quartet."""
        self.ratios.append(statistics.median(map(paired.log_ratio, base, new)))
        for kept, measured in zip(self.figures, (base, new)):
            kept.append(statistics.median(figure for together in measured for figure in together))

    def interval(self):
        return paired.median_interval(self.ratios)

    def has_failed(self):
        return not self.ratios and len(self.problems) >= FAILED_PAIRS_MAX


class Idle(Row):
    unit = "B"

    def measure(self, bench, first, second):
        figures = []
        for build in (first, second):  # Once each: a process that has had connections keeps memory.
            report = bench.sipbench(*self.arguments, *build.door(False), "--server-pid", build.process.pid)
            refuse(build, {"lost": report["lost"], "without a figure": not report.get("pss_bytes_per_connection")})
            figures.append([[report["pss_bytes_per_connection"]]])
        return figures


def refuse(build, faults):
    found = {name: fault for name, fault in faults.items() if fault}
    if found:
        raise Unmeasured(f"{build.name}: {found}")


def all_rows(options):
    slices = ["--slice", options.slice, "--quartets", options.quartets]
    full = ["handshakes", "--slice", 2 * options.slice, "--quartets", max(options.quartets // 2, 1)]
    requests = ["requests", *slices, "--warmup", 10 * options.slice]
    inwards = ["--from", f"sip:alice@{CLIENT}", "--to", f"sip:bob@{EDGE}", "--ruri", f"sip:bob@{EDGE}"]
    outwards = ["--from", f"sip:alice@{EDGE}", "--to", f"sip:bob@{PARTNER}", "--ruri", f"sip:bob@{PARTNER}"]
    eight = [*requests, "--connections", 8, "--window", 16]
    hundred = [*requests, "--connections", options.peers, "--window", 4]
    return [
        Row("full13", "full handshake, TLS 1.3", *full),
        Row("never13", "full handshake, TLS 1.3, certificate never seen", "handshakes", "--count", NEVER_SEEN,
            "--quartets", options.never_seen, identities="never"),
        Row("resumed13", "resumed handshake, TLS 1.3", *full, "--resume"),
        Row("full12", "full handshake, TLS 1.2", *full, "--tls", "1.2"),
        Row("relay8x16", "MESSAGE in, 8 connections x 16 in flight", *eight, *inwards, code="200"),
        Row("relay100x4", "MESSAGE in, 100 connections x 4 in flight", *hundred, *inwards, code="200"),
        Row("relay100peers", "MESSAGE in, 100 connections x 4 of 100 peers", *hundred, *inwards, code="200",
            identities="peers"),
        Row("invite8x16", "INVITE in, 8 connections x 16", *eight, *inwards, *INVITE, code=INVITE_ANSWER),
        Row("invite100peers", "INVITE in, 100 connections x 4 of 100 peers", *hundred, *inwards, *INVITE,
            code=INVITE_ANSWER, identities="peers"),
        Row("out8x16", "MESSAGE out, 8 connections x 16", *eight, *outwards, code="200", from_inside=True),
        Row("inviteout8x16", "INVITE out, 8 connections x 16", *eight, *outwards, *INVITE, code=INVITE_ANSWER,
            from_inside=True),
        Idle("idle", "memory of an idle connection (PSS)", "idle", "--hold", 0.1, "--connections", options.idle),
    ]


def never_seen(quartets):
    """Certificates that never13 uses up: two slices of each server in a quartet, and one before them warms it up."""
    return (1 + 2 * quartets) * NEVER_SEEN
