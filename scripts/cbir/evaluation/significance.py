"""How sure a figure is, and whether two methods differ on the same queries.

Without ``groups`` the queries are independent draws: that is the uncertainty for new images of the same categories.
With ``groups``, the category of each query, whole categories are drawn or exchanged: the uncertainty for new
categories. Queries of one category resemble each other, so it is the larger one.

NaN marks an undefined query (see ``cbir.evaluation.relevance``) and is left out; in a paired test, the pair is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# Resampled values held at once (8 MB each as float64 or int64), whatever the number of queries.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """How many queries only one of two methods got right, and the p-value of that imbalance."""

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a - b over the queries, and the p-value of its distance from 0.

    Attributes:
        difference: the mean.
        p_value: of the test.
        at_most: whether the true p-value is at most ``p_value``, the smallest that so many resamples can give.
        units: how many signs were flipped: queries, or groups.
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

    For the uncertainty of a paired difference, hand in the differences. With few groups the interval is too short, as
    any bootstrap of few draws: with seven, one of 95 % holds the true mean in about 88 % of all cases. Sources: Efron
    and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; of groups, Davison and Hinkley, "Bootstrap
    Methods and their Application", 1997, section 3.8 (whole groups are drawn, the values in them are not).

    Args:
        values: float or bool (n,), one a query.
        seed: the same seed and values give the same interval.
        confidence: share of resampled means that the interval holds, between 0 and 1.
        resamples: how many times n values, or as many groups as there are, are drawn with replacement.
        groups: (n,), the group of each value; None draws the values alone.

    Returns:
        The interval; all NaN without values, NaN bounds for a single one or a single group (it says nothing about
        spread).

    Raises:
        ValueError: when ``values`` is not one-dimensional, ``groups`` has another shape, or ``confidence`` or
            ``resamples`` is out of range: an interval needs a resample beyond either of its ends.
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
    """Return how many resamples an interval needs at least: so many that (1 - confidence) / 2 of them are one.

    The permutation test then reaches p-values of 1 - confidence, too, since it needs half as many.
    """
    # Rounded, because 1 - 0.95 is a little more than 0.05 and 1 - 0.9 a little less than 0.1.
    return math.ceil(round(2 / (1 - confidence), 6)) - 1


def wilson_interval(correct: NDArray[np.bool_], *, confidence: float = 0.95) -> Interval:
    """Return the share of True and its Wilson interval, which is not empty at 0 % and 100 % as the bootstrap's is.

    Source: Wilson, Journal of the American Statistical Association 22(158), 1927.

    Args:
        correct: bool (n,), one a query.
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

    Only the discordant queries (right with one method, wrong with the other) carry information; were the methods
    equally good, each would fall to either side like a fair coin. The p-value is the binomial probability of an
    imbalance at least as large, 1 when no query is discordant. Sources: McNemar, Psychometrika 12(2), 1947; Dietterich,
    Neural Computation 10(7), 1998.

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
    """Test whether two methods' mean values over the same queries differ: sign flips of the differences, two-sided.

    Were the methods alike, a - b of a query could as well be b - a; with ``groups``, the differences of a whole group
    change their sign together. Of few queries or groups all flippings are looked at, and the p-value is exact. Of more,
    it is (c + 1) / (m + 1), with c the number of ``m`` random flippings whose mean lies at least as far from 0 as the
    observed one: it is never 0 and keeps the level of the test. Source: Phipson and Smyth, Stat. Appl. Genetics and
    Molecular Biology 9(1), 2010.

    Args:
        a: float (n,), method a's value for each query, such as NMRR.
        b: float (n,), the same queries in the same order with method b.
        seed: the same seed and values give the same p-value.
        resamples: m, how many random flippings.
        groups: (n,), the group of each query; None flips each query alone.

    Returns:
        The mean of a - b and its p-value; both NaN without a defined pair.

    Raises:
        ValueError: when the arrays are not one-dimensional and of one length, or ``resamples`` is below 1.
    """
    _check_pairs(a.shape, b.shape)
    if groups is not None:
        _check_pairs(a.shape, groups.shape)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    differences = a.astype(np.float64) - b.astype(np.float64)
    defined = ~np.isnan(differences)
    differences = differences[defined]
    if not len(differences):
        return PairedDifference(np.nan, np.nan, False, 0)
    sums, _ = _sums(differences, None if groups is None else groups[defined])
    observed, units = sums.sum(), len(sums)
    # Sums equal on paper differ by rounding and must count as equal, or p depends on the order of the queries.
    threshold = abs(observed) - 1e-12 * np.abs(differences).sum()
    exact = 2 ** (units - 1) <= resamples + 1
    extreme = 0
    for flipped in _all_flippings(units) if exact else _random_flippings(units, resamples, seed):
        # Flipping the sign of a difference takes it out of the sum twice.
        extreme += int(np.count_nonzero(np.abs(observed - 2 * (flipped @ sums)) >= threshold))
    p_value = extreme / 2 ** (units - 1) if exact else (extreme + 1) / (resamples + 1)
    return PairedDifference(float(differences.mean()), p_value, not exact and extreme == 0, units)


def least_p_value(units: int, resamples: int | None = None) -> float:
    """Return the smallest p-value that a test of pairs can give: every one of ``units`` differs, and all alike.

    Args:
        units: queries, or groups; NaN is returned for none.
        resamples: of the permutation test; None for a test that takes none, such as McNemar's.
    """
    if not units:
        return np.nan
    return max(2.0 ** (1 - units), 0 if resamples is None else 1 / (resamples + 1))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected for being several: how small the level of all tests together may be for each to hold.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none is smaller than one before it or above 1.
    If no method differed from another, a corrected p-value of at most 5 % would come up among them in at most 5 % of
    all cases, whatever the tests have to do with each other. Source: Holm, Scandinavian Journal of Statistics 6(2),
    1979.

    Args:
        p_values: (m,); NaN is no test and stays NaN.
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

    The images of one repetition's training and gallery are mostly those of another's, so the plain t-test takes the
    differences for more independent than they are. The variance of their mean is therefore (1 / J + n2 / n1) times
    their sample variance instead of 1 / J times. Source: Nadeau and Bengio, "Inference for the generalization error",
    Machine Learning 52, 2003, section 4.

    Args:
        differences: float (J,), a - b of each repetition.
        test_share: n2 / n1, the number of test images over that of the others that a repetition uses.
        confidence: of the interval, between 0 and 1.

    Returns:
        The mean with its interval, and the two-sided p-value; without two repetitions or any spread all but the mean
        are NaN.

    Raises:
        ValueError: when ``differences`` is not one-dimensional or ``test_share`` is not above 0.
    """
    if differences.ndim != 1 or not test_share > 0:
        raise ValueError(f"differences must be (J,), not {differences.shape}, and test_share above 0: {test_share}")
    mean = float(differences.mean()) if len(differences) else np.nan
    # Differences equal on paper may differ by rounding.
    if len(differences) < 2 or np.allclose(differences, differences[0], rtol=1e-9, atol=1e-12):
        return Interval(mean, np.nan, np.nan), np.nan
    error = math.sqrt((1 / len(differences) + test_share) * differences.var(ddof=1))
    student = stats.t(len(differences) - 1)
    half = student.ppf((1 + confidence) / 2) * error
    return Interval(mean, float(mean - half), float(mean + half)), float(2 * student.sf(abs(mean) / error))


def _sums(values: NDArray[np.float64], groups: NDArray[Any] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the number of the values of each group; of each value where there are no groups."""
    if groups is None:
        return values, np.ones(len(values))
    _, places = np.unique(groups, return_inverse=True)
    sums: NDArray[np.float64] = np.bincount(places, values).astype(np.float64)
    return sums, np.bincount(places).astype(np.float64)


def _all_flippings(units: int) -> Iterator[NDArray[np.bool_]]:
    """Yield all flippings but their opposites, which lie as far from 0: the first unit keeps its sign."""
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
        raise ValueError(f"both methods need one value a query, (n,), not {shape_a} and {shape_b}")
