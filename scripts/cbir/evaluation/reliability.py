"""Turn distances into probabilities by isotonic regression, and measure their expected calibration error."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

BINS = 10
"""The number of bins of the calibration error; all have the same width."""


@dataclass(frozen=True)
class Curve:
    """A probability that falls with distance, as a piecewise linear function.

    Attributes:
        distances: float64 (m,), increasing.
        probabilities: float64 (m,), between 0 and 1, not increasing.
    """

    distances: Values
    probabilities: Values

    def at(self, distances: Values) -> Values:
        """Return the probability at each distance: linear between the points, constant beyond the first and last."""
        return np.interp(distances, self.distances, self.probabilities)


def fit(distances: Values, right: NDArray[np.bool_]) -> Curve:
    """Fit the probability that a result at a given distance is right, as a function that nowhere rises.

    The fit is isotonic regression by least squares (Zadrozny and Elkan, "Transforming classifier scores into accurate
    multiclass probability estimates", KDD 2002). Results at the same distance count as one point with their mean. One
    wrong result is added at the smallest distance and one right result at the largest, so that no probability is 0 or
    1: n right results at the near end give n / (n + 1). The more results there are, the less the two weigh.

    Args:
        distances: float64 (n,), at least one, finite.
        right: bool (n,), whether each result is of the query's category.

    Returns:
        The curve, without points inside its constant parts.

    Raises:
        ValueError: when there is no result, or the shapes differ.
    """
    # Imported here, because it takes a quarter of a second and reading a curve does not need it.
    from scipy.optimize import isotonic_regression

    if not len(distances) or distances.shape != right.shape:
        raise ValueError(f"distances {distances.shape} and right {right.shape} must be (n,), with n at least 1")
    places, place = np.unique(distances, return_inverse=True)
    hits, counts = np.bincount(place, right), np.bincount(place).astype(np.float64)
    counts[0] += 1
    counts[-1] += 1
    hits[-1] += 1
    fitted = isotonic_regression(hits / counts, weights=counts, increasing=False).x
    level = fitted[1:] == fitted[:-1]
    bends = ~(np.append(False, level) & np.append(level, False))
    return Curve(places[bends], fitted[bends])


def reliability(probabilities: Values, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare predicted probabilities with the share of results that are right.

    Results are put into ten bins by their probability: from 0 to below 0.1, and so on; 1 belongs to the last. The
    expected calibration error is the mean over the bins, weighted by their results, of the absolute difference between
    the mean probability and the share that is right (Naeini, Cooper and Hauskrecht, "Obtaining well calibrated
    probabilities using Bayesian binning", AAAI 2015).

    Args:
        probabilities: float64 (n,), between 0 and 1.
        right: bool (n,), whether each result is of the query's category.

    Returns:
        ``results``, their number; ``expected_calibration_error``, None without results; ``bins``, a dictionary of
        ``from``, ``to``, ``results``, ``mean_probability`` and ``share_right`` for each bin with results.
    """
    place = np.minimum(np.floor(probabilities * BINS), BINS - 1).astype(np.int64)
    counts = np.bincount(place, minlength=BINS)
    sums, hits = np.bincount(place, probabilities, BINS), np.bincount(place, right, BINS)
    bins = [
        {
            "from": number / BINS,
            "to": (number + 1) / BINS,
            "results": int(counts[number]),
            "mean_probability": float(sums[number] / counts[number]),
            "share_right": float(hits[number] / counts[number]),
        }
        for number in np.flatnonzero(counts).tolist()
    ]
    error = float(np.abs(sums - hits).sum() / len(place)) if len(place) else None
    return {"results": len(place), "expected_calibration_error": error, "bins": bins}
