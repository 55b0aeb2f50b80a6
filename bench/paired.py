"""Two measured alike, pair by pair: how much more the second one costs, and how sure that is.

A ratio is kept as its logarithm, so that twice and half are equally far from the same.
"""

import math
import statistics

CONFIDENCE = 0.95


def log_ratio(base, new):
    """Of one pair; each side is a list of figures, which must be above zero."""
    mean = lambda figures: statistics.fmean(map(math.log, figures))
    return mean(new) - mean(base)


def median_interval(values, confidence=CONFIDENCE):
    """Bounds of the median that hold with `confidence`, whatever the distribution; None where there are too few values.

    The k-th smallest and the k-th largest value enclose the median unless fewer than k values are on one of its sides,
    and how many are is a matter of tossing a coin for each.
    """
    ordered = sorted(values)
    count = len(ordered)
    miss, rank = 0.0, 0
    while rank < count // 2:
        miss += 2 * math.comb(count, rank) / 2 ** count
        if miss > 1 - confidence:
            break
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank > 0 else None


def verdict(interval, threshold):
    """Only an interval that lies on one side of the threshold as a whole decides."""
    bound = math.log1p(threshold)
    if interval is None:
        return "unclear"
    low, high = interval
    if low > bound:
        return "worse"
    if high < -bound:
        return "better"
    return "same" if -bound <= low and high <= bound else "unclear"
