"""Accuracy of the majority vote."""

import numpy as np
from numpy.typing import NDArray

NAME = "accuracy"
MEANING = "Share of queries whose category the majority of the {k} nearest images names."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "percent"
ORDER = 10
COLUMN = "correct"


def overall(counts: NDArray[np.int64]) -> float:
    """Return the share of images that are classified as their own category.

    Args:
        counts: int64 (categories, categories), see `cbir.evaluation.classification.confusion`.
    """
    return float(np.trace(counts) / counts.sum())
