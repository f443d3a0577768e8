"""Find the categories that may have the lowest F1.

The category with the lowest F1 is chosen by the same queries that its F1 is measured on, so with other queries it may
be another one. A bootstrap over the queries shows how sure the choice is.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

RESAMPLES = 999
LEAST_SHARE = 0.05
"""A category is listed if it has the lowest F1 in at least this share of the resamples."""
# Counts held at once (8 MB).
_BLOCK = 1_000_000


def lowest_f1_shares(counts: NDArray[np.int64], *, seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Return the share of bootstrap resamples in which each category has the lowest F1; tied ones count in equal parts.

    A resample draws as many queries as there are, with replacement, together with their predicted categories. The
    shares show how much the choice of the lowest depends on the sample of queries. Source: Hall and Miller, "Using the
    bootstrap to quantify the authority of an empirical ranking", Annals of Statistics 37(6B), 2009.

    Args:
        counts: int64 (categories, categories), rows true, columns predicted; see
            `cbir.evaluation.classification.confusion`.
        seed: of the draws.
        resamples: the number of resamples.

    Returns:
        float64 (categories,), with sum 1 (0 without queries). A category without a query in a resample does not count
        as the lowest in it.
    """
    true, predicted = np.nonzero(counts)
    cells = counts[true, predicted]
    lowest = np.zeros(len(counts))
    if not len(cells):
        return lowest
    rows = np.arange(len(cells))

    def sums_by(labels: NDArray[np.int64], weights: NDArray[np.int64]) -> sparse.csr_array:
        return sparse.csr_array((weights, (rows, labels)), shape=(len(cells), len(counts)))

    ones = np.ones(len(cells), np.int64)
    by_true, right = sums_by(true, ones), sums_by(true, (true == predicted).astype(np.int64))
    both = by_true + sums_by(predicted, ones)
    random = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(len(cells), len(counts)))
    for start in range(0, resamples, block):
        drawn = random.multinomial(cells.sum(), cells / cells.sum(), size=min(block, resamples - start))
        # F1 is not defined without a query; with one, the denominator is above 0.
        f1 = np.full((len(drawn), len(counts)), np.inf)
        np.divide(2 * (drawn @ right), drawn @ both, out=f1, where=drawn @ by_true > 0)
        ties = f1 == f1.min(axis=1, keepdims=True)
        lowest += (ties / ties.sum(axis=1, keepdims=True)).sum(axis=0)
    return lowest / resamples
