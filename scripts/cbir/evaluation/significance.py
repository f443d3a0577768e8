"""Confidence intervals, and tests of whether two methods differ on the same queries.

Without ``groups`` the queries count as independent draws, which gives the uncertainty for new images of the same
categories. With ``groups``, the category of each query, whole categories are drawn or exchanged, which gives the
uncertainty for new categories. It is usually larger, because queries of one category resemble each other.

A NaN marks a query for which a metric is undefined (see `cbir.evaluation.relevance`). It is left out, and in a paired
test so is the pair.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# Resampled values in memory at once (8 MB as float64 or int64), independent of the number of queries.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """The numbers of queries that only one of two methods got right, and the p-value of their difference."""

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a - b over the queries, and the p-value of the hypothesis that it is 0.

    Attributes:
        difference: the mean.
        p_value: of the test.
        at_most: whether ``p_value`` is the smallest that so many resamples can give; more could make it smaller.
        units: the number of queries, or of groups, whose signs were flipped.
    """

    difference: float
    p_value: float
    at_most: bool
    units: int


def bootstrap_interval(
    values: NDArray[np.float64],
    *,
    seed: int,
    confidence: float = 0.95,
    resamples: int = 9999,
    groups: NDArray[Any] | None = None,
) -> Interval:
    """Return the mean of ``values`` and its percentile bootstrap interval.

    For the interval of a paired difference, pass the differences. With few groups the interval is too short, as for any
    bootstrap of a small sample: with seven groups, an interval of 95 % contains the true mean in about 88 % of all
    cases. Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; for groups, Davison and
    Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8 (groups are drawn, but not values in them).

    Args:
        values: float or bool (n,), one for each query.
        seed: the same seed and values give the same interval.
        confidence: the share of resampled means within the interval, between 0 and 1.
        resamples: the number of resamples; each draws n values, or as many groups as there are, with replacement.
        groups: (n,), the group of each value; None draws single values.

    Returns:
        The interval. Everything is NaN without values; the bounds are NaN for a single value or a single group, which
        shows no spread.

    Raises:
        ValueError: when ``values`` is not one-dimensional, ``groups`` has another shape, ``confidence`` is not between
            0 and 1, or ``resamples`` is below `least_resamples`.
    """
    if values.ndim != 1 or (groups is not None and groups.shape != values.shape):
        raise ValueError(f"values must be (n,), not {values.shape}, and groups as values")
    if not 0 < confidence < 1 or resamples < least_resamples(confidence):
        raise ValueError(f"confidence {confidence} must lie between 0 and 1, resamples {resamples} be enough for it")
    values = values.astype(np.float64)
    defined = ~np.isnan(values)
    values, groups = values[defined], None if groups is None else groups[defined]
    mean = float(values.mean()) if len(values) else np.nan
    sums, counts = _sums(values, groups)
    if len(sums) < 2:
        return Interval(mean, np.nan, np.nan)

    def ratio(sums: NDArray[np.float64], counts: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        means: NDArray[np.float64] = sums.sum(axis=axis) / counts.sum(axis=axis)
        return means

    interval = stats.bootstrap(
        (values,) if groups is None else (sums, counts),
        np.mean if groups is None else ratio,
        paired=groups is not None,
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, _BLOCK // len(sums)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(interval.low), float(interval.high))


def least_resamples(confidence: float) -> int:
    """Return how many resamples an interval needs so that one of them is beyond each end: 2 / (1 - confidence) - 1.

    These are also enough for the permutation test to reach a p-value of 1 - confidence, for which half as many suffice.
    """
    # Rounded, because in floating point 1 - 0.95 is above 0.05 and 1 - 0.9 below 0.1.
    return math.ceil(round(2 / (1 - confidence), 6)) - 1


def wilson_interval(correct: NDArray[np.bool_], *, confidence: float = 0.95) -> Interval:
    """Return the share of True and its Wilson interval.

    Unlike a bootstrap interval, it does not have length 0 at 0 % and 100 %. Source: Wilson, Journal of the American
    Statistical Association 22(158), 1927.

    Args:
        correct: bool (n,), one for each query.
        confidence: between 0 and 1.

    Returns:
        The interval; all NaN without queries.
    """
    if not len(correct):
        return Interval(np.nan, np.nan, np.nan)
    found = stats.binomtest(int(correct.sum()), len(correct)).proportion_ci(confidence, "wilson")
    return Interval(float(correct.mean()), float(found.low), float(found.high))


def newcombe_interval(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], *, confidence: float = 0.95
) -> Interval:
    """Return the difference of two shares over the same queries, a - b, and its interval from two Wilson intervals.

    Source: Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
    data", Statistics in Medicine 17(22), 1998, method 10.

    Args:
        correct_a: bool (n,), which queries method a got right.
        correct_b: bool (n,), the same queries in the same order with method b.
        confidence: between 0 and 1.

    Returns:
        The interval; all NaN without queries.

    Raises:
        ValueError: when the two are not boolean, one-dimensional and of one length.
    """
    _check_outcomes(correct_a, correct_b)
    a, b = (wilson_interval(correct, confidence=confidence) for correct in (correct_a, correct_b))
    if not len(correct_a):
        return a
    n, right_a, right_b = len(correct_a), int(correct_a.sum()), int(correct_b.sum())
    both = int(np.count_nonzero(correct_a & correct_b))
    # both x neither - only a x only b
    product = both * (n - right_a - right_b + both) - (right_a - both) * (right_b - both)
    margins = right_a * (n - right_a) * right_b * (n - right_b)
    phi = (max(product - n / 2, 0) if product > 0 else product) / math.sqrt(margins) if margins else 0.0

    def length(x: float, y: float) -> float:
        return math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0))

    difference = a.mean - b.mean
    low = difference - length(a.mean - a.low, b.high - b.mean)
    return Interval(difference, low, difference + length(a.high - a.mean, b.mean - b.low))


def mcnemar(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> McNemar:
    """Test whether two methods' accuracies on the same queries differ: McNemar's test, exact and two-sided.

    Only the discordant queries (right with one method, wrong with the other) carry information. If the methods are
    equally good, each of these is as likely to be right with a as with b. The p-value is the binomial probability of an
    imbalance at least as large; it is 1 if no query is discordant. Sources: McNemar, Psychometrika 12(2), 1947;
    Dietterich, Neural Computation 10(7), 1998.

    Args:
        correct_a: bool (n,), which queries method a got right.
        correct_b: bool (n,), the same queries in the same order with method b.

    Raises:
        ValueError: when the two are not boolean, one-dimensional and of one length.
    """
    _check_outcomes(correct_a, correct_b)
    only_a = int(np.count_nonzero(correct_a & ~correct_b))
    only_b = int(np.count_nonzero(correct_b & ~correct_a))
    discordant = only_a + only_b
    p_value = float(stats.binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_a, only_b, p_value)


def paired_permutation_test(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    *,
    seed: int,
    resamples: int = 9999,
    groups: NDArray[Any] | None = None,
) -> PairedDifference:
    """Test whether two methods' means over the same queries differ: a two-sided permutation test by sign flips.

    If the methods do not differ, a - b of a query is as likely as b - a. With ``groups``, the signs of a whole group
    are flipped together. With few queries or groups all sign vectors are enumerated, and the p-value is exact. With
    more, it is (c + 1) / (m + 1), with c the number of ``m`` random sign vectors whose mean is at least as far from 0
    as the observed one; so it is never 0, and the test keeps its level. Source: Phipson and Smyth, Stat. Appl. Genetics
    and Molecular Biology 9(1), 2010.

    Args:
        a: float (n,), method a's value for each query, such as NMRR.
        b: float (n,), the same queries in the same order with method b.
        seed: the same seed and values give the same p-value.
        resamples: m, the number of random sign vectors.
        groups: (n,), the group of each query; None flips the sign of each query by itself.

    Returns:
        The mean of a - b and its p-value; both are NaN without a defined pair.

    Raises:
        ValueError: when the arrays are not one-dimensional and of one length, or ``resamples`` is below 1.
    """
    _check_pairs(a.shape, b.shape)
    differences = a.astype(np.float64) - b.astype(np.float64)
    [found] = paired_permutation_tests(differences[:, None], seed=seed, resamples=resamples, groups=groups)
    return found


def paired_permutation_tests(
    differences: NDArray[np.float64], *, seed: int, resamples: int = 9999, groups: NDArray[Any] | None = None
) -> list[PairedDifference]:
    """Run `paired_permutation_test` on many differences over the same queries, which share the random sign vectors.

    Args:
        differences: float (n, t), a - b of each query in each of t tests. A NaN is left out of its test alone.
        seed: as there; so are ``resamples`` and ``groups``.

    Returns:
        A finding for each test.

    Raises:
        ValueError: when ``differences`` is not (n, t), ``groups`` not (n,), or ``resamples`` is below 1.
    """
    if differences.ndim != 2 or (groups is not None and groups.shape != differences.shape[:1]):
        raise ValueError(f"differences must be (n, t), not {differences.shape}, and groups (n,)")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    found = [PairedDifference(np.nan, np.nan, False, 0)] * differences.shape[1]
    # Tests with the same defined rows are computed together.
    masks, of_mask = np.unique(~np.isnan(differences), axis=1, return_inverse=True)
    for number, defined in enumerate(masks.T):
        tests = np.flatnonzero(of_mask == number)
        if defined.any():
            inner = None if groups is None else groups[defined]
            for test, item in zip(tests, _flip(differences[defined][:, tests], seed, resamples, inner), strict=True):
                found[test] = item
    return found


def _flip(
    differences: NDArray[np.float64], seed: int, resamples: int, groups: NDArray[Any] | None
) -> Iterator[PairedDifference]:
    """Yield the finding of each test of ``differences`` (n, t) without NaN."""
    sums = np.stack([_sums(column, groups)[0] for column in differences.T], axis=1)
    observed, units = sums.sum(axis=0), len(sums)
    # With a tolerance: sums that are equal in exact arithmetic differ by rounding, and must count as equal, or the
    # p-value would depend on the order of the queries.
    threshold = np.abs(observed) - 1e-12 * np.abs(differences).sum(axis=0)
    exact = 2 ** (units - 1) <= resamples + 1
    extreme = np.zeros(differences.shape[1], np.int64)
    for flipped in _all_flippings(units) if exact else _random_flippings(units, resamples, seed):
        # Flipping the sign of a difference subtracts it from the sum twice.
        extreme += np.count_nonzero(np.abs(observed - 2 * (flipped @ sums)) >= threshold, axis=0)
    for mean, count in zip(differences.mean(axis=0), extreme.tolist(), strict=True):
        p_value = count / 2 ** (units - 1) if exact else (count + 1) / (resamples + 1)
        yield PairedDifference(float(mean), p_value, not exact and count == 0, units)


def least_p_value(units: int, resamples: int | None = None) -> float:
    """Return the smallest p-value that a paired test can give, which it gives if all units differ in one direction.

    Args:
        units: the number of queries or groups; 0 gives NaN.
        resamples: of the permutation test; None for a test without resamples, such as McNemar's.
    """
    if not units:
        return np.nan
    return max(2.0 ** (1 - units), 0 if resamples is None else 1 / (resamples + 1))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values adjusted for multiple testing by Holm's method, which controls the family-wise error rate.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than one before it or
    larger than 1. If no methods differ, any adjusted p-value is at most 5 % in at most 5 % of all cases, however the
    tests depend on each other. Source: Holm, Scandinavian Journal of Statistics 6(2), 1979.

    Args:
        p_values: (m,); a NaN stands for no test and stays NaN.
    """
    corrected = np.full(len(p_values), np.nan)
    tests = np.flatnonzero(~np.isnan(p_values))
    order = tests[np.argsort(p_values[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return corrected


def corrected_resampled_t_test(
    differences: NDArray[np.float64], test_share: float, *, confidence: float = 0.95
) -> tuple[Interval, float]:
    """Test whether two methods differ over repetitions whose splits overlap: Nadeau and Bengio's corrected t-test.

    The training images and galleries of two repetitions overlap, so their differences are not independent, as the plain
    t-test assumes. The corrected variance of their mean is (1 / J + n2 / n1) times their sample variance instead of
    1 / J times. Source: Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003, section
    4.

    Args:
        differences: float (J,), a - b of each repetition.
        test_share: n2 / n1, the number of test images over the number of other images of a repetition.
        confidence: of the interval, between 0 and 1.

    Returns:
        The mean with its interval, and the two-sided p-value. With fewer than two repetitions, or without any spread,
        all but the mean are NaN.

    Raises:
        ValueError: when ``differences`` is not one-dimensional or ``test_share`` is not above 0.
    """
    if differences.ndim != 1 or not test_share > 0:
        raise ValueError(f"differences must be (J,), not {differences.shape}, and test_share above 0: {test_share}")
    mean = float(differences.mean()) if len(differences) else np.nan
    # With a tolerance, because differences that are equal in exact arithmetic may differ by rounding.
    if len(differences) < 2 or np.allclose(differences, differences[0], rtol=1e-9, atol=1e-12):
        return Interval(mean, np.nan, np.nan), np.nan
    error = math.sqrt((1 / len(differences) + test_share) * differences.var(ddof=1))
    student = stats.t(len(differences) - 1)
    half = student.ppf((1 + confidence) / 2) * error
    return Interval(mean, float(mean - half), float(mean + half)), float(2 * student.sf(abs(mean) / error))


def _sums(values: NDArray[np.float64], groups: NDArray[Any] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the count of the values of each group; without groups, each value is its own group."""
    if groups is None:
        return values, np.ones(len(values))
    _, places = np.unique(groups, return_inverse=True)
    sums: NDArray[np.float64] = np.bincount(places, values).astype(np.float64)
    return sums, np.bincount(places).astype(np.float64)


def _all_flippings(units: int) -> Iterator[NDArray[np.bool_]]:
    """Yield all sign vectors in which the first unit keeps its sign, bool (block, units), True for a flipped sign.

    The opposite vectors give sums of the same absolute value, so they need not be enumerated.
    """
    count = 2 ** (units - 1)
    block = max(1, _BLOCK // units)
    for start in range(0, count, block):
        numbers = np.arange(start, min(start + block, count))
        yield (numbers[:, None] << 1 >> np.arange(units)) & 1 == 1


def _random_flippings(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // units)
    for start in range(0, resamples, block):
        yield rng.random((min(block, resamples - start), units)) < 0.5


def _check_outcomes(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> None:
    if correct_a.dtype != np.bool_ or correct_b.dtype != np.bool_:
        raise ValueError(f"correct_a and correct_b must be bool, not {correct_a.dtype} and {correct_b.dtype}")
    _check_pairs(correct_a.shape, correct_b.shape)


def _check_pairs(shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> None:
    if len(shape_a) != 1 or shape_a != shape_b:
        raise ValueError(f"both methods need one value for each query, (n,), not {shape_a} and {shape_b}")
