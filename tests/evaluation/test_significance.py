"""Intervals and tests against values worked by hand, exact enumeration and SciPy."""

import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from cbir.evaluation.significance import Interval, McNemar, bootstrap_interval, mcnemar, paired_permutation_test


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


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two methods' outcomes with these counts of queries."""
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


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
        with pytest.raises(ValueError, match="one value a query"):
            mcnemar(np.array([True]), np.array([True, False]))


def exact_p(differences: list[int]) -> float:
    """The share of all sign flips whose sum lies at least as far from 0, in integers."""
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
        with pytest.raises(ValueError, match="one value a query"):
            paired_permutation_test(np.zeros(3), np.zeros(4), seed=0)
        with pytest.raises(ValueError, match="one value a query"):
            paired_permutation_test(np.zeros((2, 2)), np.zeros((2, 2)), seed=0)
        with pytest.raises(ValueError, match="resamples must be at least 1"):
            paired_permutation_test(np.zeros(3), np.zeros(3), seed=0, resamples=0)
