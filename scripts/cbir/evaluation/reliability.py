"""From distances to probabilities, and how far stated probabilities hold: isotonic regression and calibration error."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

BINS = 10
"""Bins of the calibration error, all of the same width."""


@dataclass(frozen=True)
class Curve:
    """A probability that falls with the distance, as a line through points.

    Attributes:
        distances: float64 (m,), increasing.
        probabilities: float64 (m,), between 0 and 1, nowhere increasing.
    """

    distances: Values
    probabilities: Values

    def at(self, distances: Values) -> Values:
        """Return the probability at each distance: linear between points; beyond them, that of the first or last."""
        return np.interp(distances, self.distances, self.probabilities)


def fit(distances: Values, right: NDArray[np.bool_]) -> Curve:
    """Fit the probability that a result at a distance is right: the nearest curve that nowhere rises.

    That is isotonic regression by least squares (Zadrozny and Elkan, "Transforming classifier scores into accurate
    multiclass probability estimates", KDD 2002). Results at the same distance count as one point with their mean. So
    that a few results that are all right are not taken for certainty, one wrong result is added at the smallest
    distance and one right one at the largest: of n right results at the near end, n / (n + 1) remains. Therefore no
    probability is 0 or 1, and the more results there are, the less the two weigh.

    Args:
        distances: float64 (n,), at least one, finite.
        right: bool (n,), whether each result is of the query's category.

    Returns:
        The curve; only the points between which it bends are kept.

    Raises:
        ValueError: when there is no result, or the shapes differ.
    """
    # Here, because it takes a quarter of a second, and those who read a curve need not wait for it.
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
    """Compare stated probabilities with what came true.

    Results are put into ten bins by their probability: from 0 to below 0.1, and so on; 1 belongs to the last. The
    expected calibration error is the mean over the bins, each weighed by its results, of the distance between the mean
    probability and the share that was right (Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities
    using Bayesian binning", AAAI 2015).

    Args:
        probabilities: float64 (n,), between 0 and 1.
        right: bool (n,).

    Returns:
        ``results``, how many; ``expected_calibration_error``, None without results; ``bins``, those that hold results:
        ``from``, ``to``, ``results``, ``mean_probability``, ``share_right``.
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
