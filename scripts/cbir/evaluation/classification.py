"""Confusion matrix, and precision, recall and F1 of each category."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.relevance import Values


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], categories: int) -> NDArray[np.int64]:
    """Return the confusion matrix: how many images of each category are classified as each.

    Args:
        truth: (n,) labels from 0 to ``categories`` - 1.
        predicted: (n,), likewise.
        categories: the number of categories.

    Returns:
        int64 (categories, categories), rows true, columns predicted.
    """
    pairs = np.bincount(truth.astype(np.int64) * categories + predicted, minlength=categories**2)
    return pairs.reshape(categories, categories)


def precision_recall_f1(counts: NDArray[np.int64]) -> tuple[Values, Values, Values]:
    """Return precision, recall and F1 of each category, each float64 (categories,); 0 where the denominator is 0.

    The values equal those of scikit-learn's ``precision_recall_fscore_support`` with ``zero_division=0``. Importing
    scikit-learn would take longer than a small evaluation.

    Args:
        counts: as `confusion` returns them.
    """
    right, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)

    def over(numbers: NDArray[np.int64], whole: NDArray[np.int64]) -> Values:
        return np.divide(numbers, whole, out=np.zeros(len(whole)), where=whole > 0)

    return over(right, predicted), over(right, true), over(2 * right, true + predicted)
