"""Scale each row to length 1; a zero vector stays zero."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays

OPTIONS: dict[str, dict[str, Any]] = {}


def fit(gallery: NDArray[np.float64]) -> Arrays:
    """Return no arrays, because the step learns nothing."""
    return {}


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return the rows divided by their lengths."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1)
    return unit
