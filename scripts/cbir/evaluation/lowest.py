"""Which categories may have the lowest F1: the one that has it was found on the very queries that its F1 is of."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

RESAMPLES = 999
LEAST_SHARE = 0.05
"""Of the resamples in which a category has the lowest F1; one with less is not listed."""
# Counts held at once (8 MB).
_BLOCK = 1_000_000


def lowest_f1_shares(counts: NDArray[np.int64], *, seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Return in what share of resamples each category has the lowest F1; categories that tie share theirs equally.

    A resample draws as many queries as there are, with replacement; each keeps the category that it was taken for. The
    shares say how far the choice of the lowest depends on which images happened to be queries: Hall and Miller, "Using
    the bootstrap to quantify the authority of an empirical ranking", Annals of Statistics 37(6B), 2009.

    Args:
        counts: int64 (categories, categories), rows true, columns predicted; see
            `cbir.evaluation.classification.confusion`.
        seed: of the draws.
        resamples: how many there are.

    Returns:
        float64 (categories,), together 1; 0 where a category has no query. A category without a query in a resample is
        not the lowest of it.
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
        # With no query F1 is not defined; with one the denominator is above 0.
        f1 = np.full((len(drawn), len(counts)), np.inf)
        np.divide(2 * (drawn @ right), drawn @ both, out=f1, where=drawn @ by_true > 0)
        ties = f1 == f1.min(axis=1, keepdims=True)
        lowest += (ties / ties.sum(axis=1, keepdims=True)).sum(axis=0)
    return lowest / resamples
