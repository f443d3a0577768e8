"""How sure a figure is, and whether two methods differ on the same queries.

All three take the queries as independent draws. NaN marks an undefined query (see ``cbir.evaluation.relevance``) and is
left out; in a paired test, the pair is.
"""

from dataclasses import dataclass

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
    """The mean of a - b over the queries, and the p-value of its distance from 0."""

    difference: float
    p_value: float


def bootstrap_interval(
    values: NDArray[np.float64], *, seed: int, confidence: float = 0.95, resamples: int = 9999
) -> Interval:
    """Return the mean of ``values`` and its percentile bootstrap interval.

    For the uncertainty of a paired difference, hand in the differences. Source: Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, chapter 13.

    Args:
        values: float or bool (n,), one a query.
        seed: the same seed and values give the same interval.
        confidence: share of resampled means that the interval holds, between 0 and 1.
        resamples: how many times n values are drawn with replacement.

    Returns:
        The interval; all NaN without values, NaN bounds for a single one (it says nothing about spread).

    Raises:
        ValueError: when ``values`` is not one-dimensional, or ``confidence`` or ``resamples`` is out of range.
    """
    if values.ndim != 1:
        raise ValueError(f"values must be (n,), not {values.shape}")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1, resamples {resamples} be at least 1")
    values = values.astype(np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        mean = float(values[0]) if len(values) else np.nan
        return Interval(mean, np.nan, np.nan)
    interval = stats.bootstrap(
        (values,),
        np.mean,
        method="percentile",
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, _BLOCK // len(values)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(values.mean()), float(interval.low), float(interval.high))


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
    if correct_a.dtype != np.bool_ or correct_b.dtype != np.bool_:
        raise ValueError(f"correct_a and correct_b must be bool, not {correct_a.dtype} and {correct_b.dtype}")
    _check_pairs(correct_a.shape, correct_b.shape)
    only_a = int(np.count_nonzero(correct_a & ~correct_b))
    only_b = int(np.count_nonzero(correct_b & ~correct_a))
    discordant = only_a + only_b
    p_value = float(stats.binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_a, only_b, p_value)


def paired_permutation_test(
    a: NDArray[np.float64], b: NDArray[np.float64], *, seed: int, resamples: int = 9999
) -> PairedDifference:
    """Test whether two methods' mean values over the same queries differ: sign flips of the differences, two-sided.

    Were the methods alike, a - b of a query could as well be b - a. The p-value is (c + 1) / (m + 1), with c the number
    of ``m`` random flippings whose mean lies at least as far from 0 as the observed one: it is never 0 and keeps the
    level of the test. Source: Phipson and Smyth, Stat. Appl. Genetics and Molecular Biology 9(1), 2010.

    Args:
        a: float (n,), method a's value for each query, such as NMRR.
        b: float (n,), the same queries in the same order with method b.
        seed: the same seed and values give the same p-value.
        resamples: m, how many random flippings; the smallest p-value is 1 / (m + 1).

    Returns:
        The mean of a - b and its p-value; both NaN without a defined pair.

    Raises:
        ValueError: when the two are not one-dimensional and of one length, or ``resamples`` is below 1.
    """
    _check_pairs(a.shape, b.shape)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    differences = a.astype(np.float64) - b.astype(np.float64)
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return PairedDifference(np.nan, np.nan)
    observed = differences.sum()
    # Sums equal on paper differ by rounding and must count as equal, or p depends on the order of the queries.
    threshold = abs(observed) - 1e-12 * np.abs(differences).sum()
    rng = np.random.default_rng(seed)
    extreme = 0
    block = max(1, _BLOCK // len(differences))
    for start in range(0, resamples, block):
        flipped = rng.random((min(block, resamples - start), len(differences))) < 0.5
        # Flipping the sign of a difference takes it out of the sum twice.
        sums = observed - 2 * (flipped @ differences)
        extreme += int(np.count_nonzero(np.abs(sums) >= threshold))
    return PairedDifference(float(differences.mean()), (extreme + 1) / (resamples + 1))


def _check_pairs(shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> None:
    if len(shape_a) != 1 or shape_a != shape_b:
        raise ValueError(f"both methods need one value a query, (n,), not {shape_a} and {shape_b}")
