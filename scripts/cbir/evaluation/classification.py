"""Counts and quality of a classification, a value a category."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.relevance import Values


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], categories: int) -> NDArray[np.int64]:
    """Count how often images of each category are taken for each.

    Args:
        truth: (n,) labels from 0 to ``categories`` - 1.
        predicted: (n,), likewise.
        categories: how many there are.

    Returns:
        int64 (categories, categories), rows true, columns predicted.
    """
    pairs = np.bincount(truth.astype(np.int64) * categories + predicted, minlength=categories**2)
    return pairs.reshape(categories, categories)


def precision_recall_f1(counts: NDArray[np.int64]) -> tuple[Values, Values, Values]:
    """Return precision, recall and F1 of each category, each float64 (categories,); 0 where nothing can be divided.

    As scikit-learn's ``precision_recall_fscore_support`` with ``zero_division=0``, to the last digit; importing that
    takes longer than a small evaluation.

    Args:
        counts: as `confusion` returns them.
    """
    right, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)

    def over(numbers: NDArray[np.int64], whole: NDArray[np.int64]) -> Values:
        return np.divide(numbers, whole, out=np.zeros(len(whole)), where=whole > 0)

    return over(right, predicted), over(right, true), over(2 * right, true + predicted)
