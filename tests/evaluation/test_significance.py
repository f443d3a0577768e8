"""Intervals and tests against values worked by hand, exact enumeration and SciPy."""

import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, ttest_1samp

from cbir.evaluation.significance import (
    Interval,
    McNemar,
    bootstrap_interval,
    corrected_resampled_t_test,
    holm,
    least_p_value,
    least_resamples,
    mcnemar,
    newcombe_interval,
    paired_permutation_test,
    wilson_interval,
)


class TestBootstrapInterval:
    def test_two_values(self) -> None:
        # Means of two draws from {0, 1}: 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4. The quantiles 0.025 and 0.975 are
        # 0 and 1, the quantiles 0.3 and 0.7 both 1/2.
        values = np.array([0.0, 1.0])
        assert bootstrap_interval(values, seed=1) == Interval(0.5, 0.0, 1.0)
        assert bootstrap_interval(values, seed=1, confidence=0.4) == Interval(0.5, 0.5, 0.5)

    def test_seven_of_ten_right(self) -> None:
        # Resampled hits are binomial (10, 0.7): P(<= 4) = 0.047 and P(<= 5) = 0.150, P(<= 8) = 0.851 and
        # P(<= 9) = 0.972, so the quantiles 0.1 and 0.9 are 5 and 9.
        correct = np.array([True] * 7 + [False] * 3)
        interval = bootstrap_interval(correct, seed=2, confidence=0.8)
        assert (interval.mean, interval.low, interval.high) == pytest.approx((0.7, 0.5, 0.9))

    def test_one_of_ten_right(self) -> None:
        # Resampled hits are binomial (10, 0.1): P(0) = 0.349, P(<= 1) = 0.736, P(<= 2) = 0.930, so the quantiles 0.1
        # and 0.9 are 0 and 2. A bias-corrected (BCa) interval is another one.
        correct = np.array([True] + [False] * 9)
        interval = bootstrap_interval(correct, seed=2, confidence=0.8)
        assert (interval.mean, interval.low, interval.high) == pytest.approx((0.1, 0.0, 0.2))

    def test_many_values_come_near_the_normal_interval(self) -> None:
        values = np.random.default_rng(3).gamma(2.0, size=2000)
        interval = bootstrap_interval(values, seed=3, confidence=0.9)
        half = norm.ppf(0.95) * values.std() / math.sqrt(len(values))
        assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
        assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)

    def test_seed_decides(self) -> None:
        values = np.random.default_rng(4).random(50)
        assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)
        assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)

    def test_undefined_queries_are_left_out(self) -> None:
        values = np.array([0.1, 0.4, 0.2, 0.9])
        gaps = np.array([np.nan, 0.1, 0.4, np.nan, 0.2, 0.9])
        assert bootstrap_interval(gaps, seed=7) == bootstrap_interval(values, seed=7)

    def test_one_value_has_no_bounds_and_none_has_no_mean(self) -> None:
        one = bootstrap_interval(np.array([0.3, np.nan]), seed=8)
        assert one.mean == 0.3
        assert np.isnan([one.low, one.high]).all()
        none = bootstrap_interval(np.array([np.nan]), seed=8)
        assert np.isnan([none.mean, none.low, none.high]).all()

    def test_memory_is_bounded(self) -> None:
        # All at once, 1000 resamples of 20,000 values would take 160 MB, and their indices as much again.
        tracemalloc.start()
        bootstrap_interval(np.random.default_rng(9).random(20_000), seed=9, resamples=1000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 60e6

    def test_wrong_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="values must be"):
            bootstrap_interval(np.zeros((2, 2)), seed=0)
        with pytest.raises(ValueError, match=r"confidence 1\.0"):
            bootstrap_interval(np.zeros(3), seed=0, confidence=1.0)
        with pytest.raises(ValueError, match="resamples 0"):
            bootstrap_interval(np.zeros(3), seed=0, resamples=0)
        with pytest.raises(ValueError, match="groups as values"):
            bootstrap_interval(np.zeros(3), seed=0, groups=np.zeros(2))

    def test_too_few_resamples_for_its_confidence(self) -> None:
        # 0.0025 of 399 resamples and the observed mean is one of them, of 398 less.
        assert [least_resamples(confidence) for confidence in (0.9, 0.95, 0.995)] == [19, 39, 399]
        with pytest.raises(ValueError, match="resamples 398"):
            bootstrap_interval(np.arange(9.0), seed=0, confidence=0.995, resamples=398)
        bootstrap_interval(np.arange(9.0), seed=0, confidence=0.995, resamples=399)

    def test_groups_are_drawn_as_wholes(self) -> None:
        # A group of three 0 and one of a single 1. Both draws are of the first (mean 0), of the second (1), or one of
        # each (1/4), with probabilities 1/4, 1/4 and 1/2.
        values, groups = np.array([0.0, 1.0, 0.0, 0.0]), np.array(["x", "y", "x", "x"])
        assert bootstrap_interval(values, seed=1, groups=groups) == Interval(0.25, 0.0, 1.0)
        assert bootstrap_interval(values, seed=1, confidence=0.4, groups=groups) == Interval(0.25, 0.25, 0.25)

    def test_groups_of_one_query_change_nothing(self) -> None:
        values = np.random.default_rng(0).random(40)
        alone, grouped = (bootstrap_interval(values, seed=1, groups=groups) for groups in (None, np.arange(40)))
        assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))

    def test_equal_queries_of_a_group_count_as_one(self) -> None:
        # Ten equal queries give the same interval as one.
        few = np.random.default_rng(2).random(8)
        alone = bootstrap_interval(few, seed=3)
        grouped = bootstrap_interval(np.repeat(few, 10), seed=3, groups=np.repeat(np.arange(8), 10))
        assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))

    def test_one_group_has_no_bounds_and_undefined_queries_are_excluded(self) -> None:
        values, groups = np.array([0.2, 0.4, np.nan]), np.array([0, 0, 1])
        found = bootstrap_interval(values, seed=0, groups=groups)
        assert found.mean == pytest.approx(0.3)
        assert np.isnan([found.low, found.high]).all()


class TestWilson:
    @pytest.mark.parametrize(
        ("right", "of", "low", "high"),
        [
            # Newcombe, Statistics in Medicine 17(8), 1998, table I, method 3.
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
            # n / (n + z^2).
            (31, 31, 31 / (31 + 1.959964**2), 1.0),
        ],
    )
    def test_published(self, right: int, of: int, low: float, high: float) -> None:
        found = wilson_interval(np.arange(of) < right)
        assert (found.mean, found.low, found.high) == pytest.approx((right / of, low, high), abs=5e-5)

    def test_it_covers_near_100_percent(self) -> None:
        # The binomial probability that the interval of 31 queries holds 0.968; a percentile bootstrap's is 0.62.
        inside = 0.0
        for right in range(32):
            found = wilson_interval(np.arange(31) < right)
            inside += math.comb(31, right) * 0.968**right * 0.032 ** (31 - right) * (found.low <= 0.968 <= found.high)
        assert inside > 0.9

    def test_no_queries(self) -> None:
        found = wilson_interval(np.array([], bool))
        assert np.isnan([found.mean, found.low, found.high]).all()


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two methods' outcomes with these counts of queries."""
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


class TestNewcombe:
    def test_published(self) -> None:
        # Newcombe, Statistics in Medicine 17(22), 1998, table II, method 10: counts 36, 12, 2 and 0.
        found = newcombe_interval(*outcomes(36, 12, 2, 0))
        assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)

    def test_equal_outcomes_have_an_interval_that_is_not_a_point(self) -> None:
        # All right with both: phi is 0 and the bounds are the Wilson interval's distance from 1.
        found = newcombe_interval(*outcomes(31, 0, 0, 0))
        assert (found.mean, found.low, found.high) == pytest.approx((0, -0.110255, 0.110255), abs=1e-6)

    def test_is_signed(self) -> None:
        forth, back = newcombe_interval(*outcomes(5, 9, 2, 4)), newcombe_interval(*outcomes(5, 2, 9, 4))
        assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))

    def test_no_queries_and_wrong_arguments(self) -> None:
        assert np.isnan(newcombe_interval(np.array([], bool), np.array([], bool)).low)
        with pytest.raises(ValueError, match="must be bool"):
            newcombe_interval(np.array([1, 0]), np.array([1, 1]))


class TestMcNemar:
    @pytest.mark.parametrize(
        ("only_a", "only_b", "p_value"),
        [
            # Twice the probability of at most 3 heads in 13: 2 (1 + 13 + 78 + 286) / 8192.
            (10, 3, 756 / 8192),
            (3, 10, 756 / 8192),
            # 2 / 32; the chi-squared approximation would give 0.025, with continuity correction 0.074.
            (5, 0, 1 / 16),
            (1, 0, 1.0),
            (4, 4, 1.0),
            (0, 0, 1.0),
        ],
    )
    def test_worked_by_hand(self, only_a: int, only_b: int, p_value: float) -> None:
        result = mcnemar(*outcomes(40, only_a, only_b, 7))
        assert (result.only_a, result.only_b) == (only_a, only_b)
        assert result.p_value == pytest.approx(p_value)

    def test_concordant_queries_do_not_matter(self) -> None:
        assert mcnemar(*outcomes(0, 9, 2, 0)) == mcnemar(*outcomes(500, 9, 2, 80))

    def test_agrees_with_the_binomial_sum(self) -> None:
        for only_a, only_b in product(range(12), range(12)):
            n, fewer = only_a + only_b, min(only_a, only_b)
            tail = sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n
            assert mcnemar(*outcomes(3, only_a, only_b, 1)).p_value == pytest.approx(min(1.0, 2 * tail))

    def test_no_queries(self) -> None:
        assert mcnemar(np.array([], dtype=bool), np.array([], dtype=bool)) == McNemar(0, 0, 1.0)

    def test_wrong_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="must be bool"):
            mcnemar(np.array([1, 0]), np.array([1, 1]))
        with pytest.raises(ValueError, match="one value for each query"):
            mcnemar(np.array([True]), np.array([True, False]))


def exact_p(differences: list[int]) -> float:
    """Return the share of all sign flips whose sum is at least as far from 0, in integers."""
    observed = abs(sum(differences))
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(abs(total) >= observed for total in sums) / len(sums)


class TestPairedPermutationTest:
    @pytest.mark.parametrize(
        "differences", [[1, 1, 1], [3, -1, 4, 1, -5, 9, 2, 6], [1, 2, 3, 4, 5, 6, 7, 8, -1, -2], [2, -2, 1]]
    )
    def test_estimates_the_exact_p_value(self, differences: list[int]) -> None:
        a = np.array(differences, dtype=float)
        result = paired_permutation_test(a, np.zeros(len(a)), seed=1, resamples=40_000)
        # Four standard errors of 40,000 draws are at most 0.01. The first exact value is 2/8.
        assert result.p_value == pytest.approx(exact_p(differences), abs=0.01)
        assert result.difference == pytest.approx(sum(differences) / len(differences))

    @pytest.mark.parametrize("differences", [[1, 1, 1], [3, -1, 4, 1, -5, 9, 2, 6], [2, -2, 1], [4], [0, 0]])
    def test_with_few_differences_it_is_exact(self, differences: list[int]) -> None:
        a = np.array(differences, dtype=float)
        results = {paired_permutation_test(a, np.zeros(len(a)), seed=seed, resamples=127) for seed in range(3)}
        [result] = results
        assert result.p_value == exact_p(differences)
        assert (result.at_most, result.units) == (False, len(differences))

    def test_groups_change_their_signs_together(self) -> None:
        # The differences of the groups sum to 3, 3, -1 and 2: of the 16 flippings 4 are as far from 0 as 7.
        differences = np.array([1.0, 5.0, -1.0, 2.0, 2.0, -2.0])
        groups = np.array(["a", "b", "c", "a", "d", "b"])
        found = paired_permutation_test(differences, np.zeros(6), seed=0, groups=groups)
        assert exact_p([3, 3, -1, 2]) == 4 / 16
        assert (found.p_value, found.units) == (4 / 16, 4)
        assert found.difference == pytest.approx(7 / 6)

    def test_the_least_p_values_of_seven_groups_and_of_five_queries(self) -> None:
        seven = paired_permutation_test(np.ones(70), np.zeros(70), seed=0, groups=np.repeat(np.arange(7), 10))
        assert seven.p_value == least_p_value(7) == 2 / 128
        five = paired_permutation_test(np.ones(5), np.zeros(5), seed=0)
        assert five.p_value == least_p_value(5, 9999) == 2 / 32
        assert least_p_value(40, 9999) == 1 / 10_000
        assert np.isnan(least_p_value(0))

    def test_the_least_p_value_of_the_resamples_is_stated(self) -> None:
        # 2 of 2^40: at most 1 / 1000.
        found = paired_permutation_test(np.ones(40), np.zeros(40), seed=0, resamples=999)
        assert (found.p_value, found.at_most) == (0.001, True)
        assert not paired_permutation_test(np.tile([1.0, -1.0], 20), np.zeros(40), seed=0, resamples=999).at_most

    def test_is_two_sided_and_signed(self) -> None:
        rng = np.random.default_rng(2)
        a, b = rng.random(40) + 0.1, rng.random(40)
        forth, back = paired_permutation_test(a, b, seed=3), paired_permutation_test(b, a, seed=3)
        assert forth.difference == -back.difference == pytest.approx(np.mean(a) - np.mean(b))
        assert forth.difference > 0
        assert forth.p_value == back.p_value

    def test_p_value_is_never_zero(self) -> None:
        # No random flipping of 200 equal differences comes as far as the observed one: (0 + 1) / (m + 1).
        result = paired_permutation_test(np.ones(200), np.zeros(200), seed=4, resamples=99)
        assert result.p_value == 1 / 100

    def test_equal_methods(self) -> None:
        values = np.random.default_rng(5).random(30)
        result = paired_permutation_test(values, values, seed=5)
        assert (result.difference, result.p_value) == (0.0, 1.0)

    @pytest.mark.parametrize("seed", range(10))
    def test_rounding_breaks_no_tie(self, seed: int) -> None:
        # Tenths are inexact in binary, whole numbers exact; the same flips must be counted.
        whole = np.random.default_rng(seed).integers(-5, 6, size=12).astype(float)
        zeros = np.zeros(12)
        tenths = paired_permutation_test(whole / 10, zeros, seed=seed, resamples=2000)
        assert tenths.p_value == paired_permutation_test(whole, zeros, seed=seed, resamples=2000).p_value

    def test_pairing_matters(self) -> None:
        # Every query improves by little; unpaired, the spread between queries would hide it.
        base = np.random.default_rng(6).random(60)
        assert paired_permutation_test(base + 0.01, base, seed=6).p_value < 0.001

    def test_keeps_its_level(self) -> None:
        # Between like methods p <= 0.05 comes in at most 5 % of 400 trials: 20, and 3 standard deviations 13 more.
        rng = np.random.default_rng(7)
        p_values = [
            paired_permutation_test(rng.random(15), rng.random(15), seed=trial, resamples=199).p_value
            for trial in range(400)
        ]
        assert 7 <= np.count_nonzero(np.array(p_values) <= 0.05) <= 33

    def test_seed_decides(self) -> None:
        a, b = np.random.default_rng(8).random((2, 30))
        assert paired_permutation_test(a, b, seed=1) == paired_permutation_test(a, b, seed=1)
        assert paired_permutation_test(a, b, seed=1) != paired_permutation_test(a, b, seed=2)

    def test_undefined_pairs_are_left_out(self) -> None:
        a, b = np.array([0.5, np.nan, 0.7, 0.1]), np.array([0.2, 0.3, 0.1, np.nan])
        assert paired_permutation_test(a, b, seed=9) == paired_permutation_test(a[[0, 2]], b[[0, 2]], seed=9)
        none = paired_permutation_test(a[1:2], b[1:2], seed=9)
        assert np.isnan([none.difference, none.p_value]).all()

    def test_memory_is_bounded(self) -> None:
        # All at once, 1000 flippings of 20,000 differences would take 160 MB.
        a, b = np.random.default_rng(10).random((2, 20_000))
        tracemalloc.start()
        paired_permutation_test(a, b, seed=10, resamples=1000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6

    def test_wrong_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="one value for each query"):
            paired_permutation_test(np.zeros(3), np.zeros(4), seed=0)
        with pytest.raises(ValueError, match="one value for each query"):
            paired_permutation_test(np.zeros((2, 2)), np.zeros((2, 2)), seed=0)
        with pytest.raises(ValueError, match="resamples must be at least 1"):
            paired_permutation_test(np.zeros(3), np.zeros(3), seed=0, resamples=0)


class TestHolm:
    def test_worked_by_hand(self) -> None:
        # In order 0.005 x 4, 0.01 x 3, 0.03 x 2 and 0.04, which is no smaller than the one before.
        assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_the_animals(self) -> None:
        # Four at the floor, then the accuracies of `combined` and `finetuned`: 0.03 becomes 0.06.
        found = holm(np.array([0.0001, 0.0001, 0.5, 0.0001, 0.0001, 0.03]))
        assert found.tolist() == pytest.approx([0.0006, 0.0006, 0.5, 0.0006, 0.0006, 0.06])

    def test_missing_tests_are_not_counted(self) -> None:
        found = holm(np.array([0.02, np.nan, 0.9]))
        assert found[[0, 2]].tolist() == pytest.approx([0.04, 0.9])
        assert np.isnan(found[1])
        assert holm(np.array([])).tolist() == []

    def test_no_more_than_1(self) -> None:
        assert holm(np.array([0.4, 0.6, 0.7])).tolist() == [1, 1, 1]

    def test_the_level_of_all_together(self) -> None:
        # Under the null hypothesis the smallest of five independent ones is at most 0.05 / 5 in 1 - 0.99^5 = 4.9 %
        # of all cases; of 4,000 that is 196, and four standard deviations are 55.
        p_values = np.random.default_rng(0).random((4000, 5))
        assert 141 <= sum((holm(row) <= 0.05).any() for row in p_values) <= 251


class TestCorrectedResampledT:
    def test_worked_by_hand(self) -> None:
        # Mean 2, variance 1, error sqrt(1/3 + 1/4) = 0.763763, t = 2.618615. With two degrees of freedom
        # p = 1 - t / sqrt(2 + t^2), and 97.5 % lie below 4.302653.
        interval, p_value = corrected_resampled_t_test(np.array([1.0, 2.0, 3.0]), 0.25)
        assert p_value == pytest.approx(1 - 2.618615 / math.sqrt(2 + 2.618615**2), abs=1e-6)
        half = 4.302653 * 0.763763
        assert (interval.mean, interval.low, interval.high) == pytest.approx((2, 2 - half, 2 + half), abs=1e-5)

    def test_without_overlap_it_is_the_t_test(self) -> None:
        differences = np.random.default_rng(0).normal(0.3, 1, 12)
        _, p_value = corrected_resampled_t_test(differences, 1e-12)
        assert p_value == pytest.approx(ttest_1samp(differences, 0).pvalue)

    def test_differences_without_spread_have_no_test(self) -> None:
        # 0.1 + 0.2 is not quite 0.3.
        for differences in ([0.5], [0.5, 0.5], [0.1 + 0.2, 0.3, 0.3], []):
            interval, p_value = corrected_resampled_t_test(np.array(differences), 0.25)
            assert np.isnan([interval.low, interval.high, p_value]).all()

    def test_wrong_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="test_share"):
            corrected_resampled_t_test(np.ones(3), 0)
