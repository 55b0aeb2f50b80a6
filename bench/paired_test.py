#!/usr/bin/env python3
"""The rules by which bench/regress decides."""

import math
import random
import unittest

import paired


class LogRatioTest(unittest.TestCase):
    def test_drift_within_a_pair_cancels(self):
        # Base, new, new, base, each 10 % slower than the one before; they cost the same.
        self.assertAlmostEqual(paired.log_ratio([1.0, 1.1 ** 3], [1.1, 1.1 ** 2]), 0.0)

    def test_twice_and_half_are_equally_far(self):
        self.assertAlmostEqual(paired.log_ratio([1], [2]), -paired.log_ratio([2], [1]))


class MedianIntervalTest(unittest.TestCase):
    def test_five_values_are_too_few_and_six_are_enough(self):
        # 2 * (1/2)^5 = 6.3 %, 2 * (1/2)^6 = 3.1 %.
        self.assertIsNone(paired.median_interval(range(5)))
        self.assertEqual(paired.median_interval(range(6)), (0, 5))

    def test_ranks_are_those_of_the_sign_test(self):
        # From tables of the sign test at 5 %: 20 values, critical value 5, so the 6th from each end.
        self.assertEqual(paired.median_interval(range(1, 21)), (6, 15))

    def test_it_holds_as_often_as_it_says(self):
        numbers = random.Random(1)
        held = 0
        for _ in range(2000):
            low, high = paired.median_interval([numbers.expovariate(1) for _ in range(15)])
            held += low <= math.log(2) <= high
        self.assertGreaterEqual(held / 2000, 0.95)

    def test_outliers_do_not_move_it(self):
        values = [0.0] * 17 + [5.0, 9.0, 100.0]
        self.assertEqual(paired.median_interval(values), (0.0, 0.0))


class VerdictTest(unittest.TestCase):
    def interval(self, low, high):
        return math.log(low), math.log(high)

    def test_worse_and_better_need_the_whole_interval_beyond_the_threshold(self):
        self.assertEqual(paired.verdict(self.interval(1.021, 1.05), 0.02), "worse")
        self.assertEqual(paired.verdict(self.interval(1.019, 1.05), 0.02), "unclear")
        self.assertEqual(paired.verdict(self.interval(0.95, 0.979), 0.02), "better")
        self.assertEqual(paired.verdict(self.interval(0.95, 0.982), 0.02), "unclear")

    def test_same_needs_the_whole_interval_within_it(self):
        self.assertEqual(paired.verdict(self.interval(0.985, 1.019), 0.02), "same")
        self.assertEqual(paired.verdict(self.interval(1.005, 1.019), 0.02), "same")
        self.assertEqual(paired.verdict(self.interval(0.97, 1.019), 0.02), "unclear")

    def test_without_an_interval_nothing_is_clear(self):
        self.assertEqual(paired.verdict(None, 0.02), "unclear")


if __name__ == "__main__":
    unittest.main()
