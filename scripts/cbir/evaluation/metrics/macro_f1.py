"""F1 of the majority vote, averaged over the categories."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.classification import precision_recall_f1

NAME = "macro F1"
MEANING = (
    "F1, the harmonic mean of precision and recall, of the categories that the majority of the {k} nearest images "
    "names, averaged over the categories."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 90
COLUMN = None


def overall(counts: NDArray[np.int64]) -> float:
    """Return the mean F1 of the categories that have an image.

    Args:
        counts: int64 (categories, categories), see `cbir.evaluation.classification.confusion`.
    """
    _, _, f1 = precision_recall_f1(counts)
    # Summed largest first, in the order of categories.csv, so that the mean of its column has the same rounding.
    return float(np.sort(f1[counts.sum(axis=1) > 0])[::-1].mean())
