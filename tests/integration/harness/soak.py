"""A soak: calls in both directions over four shards while peers reconnect, next hops restart and the edge reloads.

What must hold: every request is answered, and once everybody has gone nothing is left, neither transactions nor
connections nor memory.
"""
import os
import sys
import time

from . import edge as edge_process
from . import traffic

PHONES = 8
SETTLE_SECONDS = 60.0  # Timers H, J and the like take 32.
USED_AT_REST_MAX = 65536  # A few buffers of the connections to the next hops.
# 503 and 408 while a next hop restarts and the second is not known to be alive, 430 where a phone has just gone.
ALLOWED = {"REGISTER": {200, 500, 503}, "MESSAGE": {200, 430, 500, 503}, "INVITE": {200, 430, 500, 503},
           "BYE": {200, 430, 500, 502, 503}}


def configure(cls, made):
    """The usual configuration of a scene class, for a soak."""
    made["edge"]["shards"] = 4
    made["listener"] += [cls.inside("core-tcp", "tcp")]
    made["timeouts"]["drain"] = "20s"
    return made


def resident_bytes(edge):
    with open("/proc/%d/statm" % edge.process.pid, encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(edge):
    """(memory_bytes of the edge, resident bytes of its process)."""
    return edge.metrics().value("memory_bytes"), resident_bytes(edge)


class Soak:
    """Against an edge whose first next hop has two TCP targets, `ports`, the first of which restarts."""

    def __init__(self, edge, context, hops):
        self.edge, self._context, self._hops = edge, context, hops
        self.directory = {}
        self.restarts = self.reloads = 0

    def run(self, seconds, say=lambda text: None):
        """Returns the answers; raises AssertionError for what must not be."""
        hop = self._hops[1]
        contact = "sip:bob@%s:%d;transport=tcp" % (hop.host, hop.port)
        workers = [traffic.Phone(n, self.edge.port, self._context, self.directory, reconnects=0.02)
                   for n in range(PHONES)]
        workers += [traffic.InsideCaller(transport, self.edge.listener_port(name), self.directory, contact)
                    for transport, name in (("udp", "core"), ("tcp", "core-tcp"))]
        for worker in workers:
            worker.start()
        try:
            samples = self._disturb(seconds, workers, say)
        finally:
            for worker in workers:
                worker.ask_to_stop()
        for worker in workers:
            worker.join()
        self._check_quiet(samples, say)
        return self._check_answers(workers)

    def _disturb(self, seconds, workers, say):
        started = time.monotonic()
        reload_every, restart_every, say_every = min(30.0, seconds / 5), min(20.0, seconds / 4), seconds / 20
        next_reload, next_restart, next_say = reload_every, restart_every, say_every
        samples = []
        while (passed := time.monotonic() - started) < seconds:
            for worker in workers:
                if worker.error is not None:
                    raise worker.error
            if passed >= next_reload:
                next_reload += reload_every
                self.edge.reload({})
                self.reloads += 1
            if passed >= next_restart:
                next_restart += restart_every
                self._restart_first_hop()
            if passed >= next_say:
                next_say += say_every
                samples.append(memory(self.edge))
                say("%4.0f s: %d answers, memory_bytes %d, resident %d kB" % (
                    passed, sum(traffic.total(workers).values()), samples[-1][0], samples[-1][1] // 1024))
            time.sleep(0.1)
        return samples

    def _restart_first_hop(self):
        first = self._hops[0]
        first.close()
        time.sleep(0.5)
        self._hops[0] = traffic.TrafficHop(port=first.port, rule=traffic.registrar)
        self.restarts += 1

    def _check_quiet(self, samples, say):
        self.edge.wait_metric("connections_active", 0, timeout=SETTLE_SECONDS)
        self.edge.wait_metric("sip_transactions_active", 0, timeout=SETTLE_SECONDS)
        used, resident = memory(self.edge)
        say("at rest: memory_bytes %d, resident %d kB, %d reloads, %d restarts" % (
            used, resident // 1024, self.reloads, self.restarts))
        if used > USED_AT_REST_MAX:
            raise AssertionError("memory_bytes is %d at rest: %r" % (used, self.edge.metrics().nonzero("memory_bytes")))
        resident_max = max(sample[1] for sample in samples[len(samples) // 3:len(samples) // 2 + 1])
        if resident > 1.2 * resident_max + (8 << 20) and not edge_process.is_sanitized():
            raise AssertionError("resident memory grew from %d to %d" % (resident_max, resident))
        self.edge.terminate()
        code = self.edge.wait_exit(60.0)
        if code != 0:
            raise AssertionError("the edge ended with %d" % code)

    @staticmethod
    def _check_answers(workers):
        answers = traffic.total(workers)
        for (kind, status), count in sorted(answers.items()):
            if status not in ALLOWED[kind]:
                raise AssertionError("%d x %s was answered %d: %r" % (count, kind, status, answers))
        for kind in ALLOWED:
            good = answers[kind, 200]
            if good < 0.9 * sum(count for (known, _), count in answers.items() if known == kind):
                raise AssertionError("too few good answers to %s: %r" % (kind, answers))
        return answers


def write(text):
    print(text, file=sys.stderr, flush=True)
