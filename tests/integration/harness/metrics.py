"""The edge's /metrics page as numbers."""
import re
import urllib.error
import urllib.request

_SERIES = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def fetch(port, path, timeout=10.0):
    """(status, text) of one page of the admin listener."""
    # No proxy from the environment may stand between a test and its own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open("http://127.0.0.1:%d%s" % (port, path), timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


class Metrics:
    """One scrape. Names are given without the sallyport_ prefix."""

    def __init__(self, text):
        self.text = text
        self.series = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            found = _SERIES.match(line)
            if found is None:
                raise AssertionError("not a metric: %r" % line)
            self.series.append((found.group(1), dict(_LABEL.findall(found.group(2) or "")), float(found.group(3))))

    def value(self, name, **labels):
        """Sum over the series that carry these labels; 0 if there is none."""
        return sum(value for known, has, value in self.series
                   if known in (name, "sallyport_" + name) and all(has.get(k) == v for k, v in labels.items()))

    def has(self, name):
        return any(known in (name, "sallyport_" + name) for known, _, _ in self.series)

    def nonzero(self, name):
        """{labels: value} of one metric, for messages of failed tests."""
        return {tuple(sorted(has.items())): value for known, has, value in self.series
                if known in (name, "sallyport_" + name) and value}
