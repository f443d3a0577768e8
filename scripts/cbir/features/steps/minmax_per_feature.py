"""Map the smallest value of each feature in the gallery to 0 and the largest to 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays, _affine

OPTIONS: dict[str, dict[str, Any]] = {}

apply = _affine.apply


def fit(gallery: NDArray[np.float64]) -> Arrays:
    """Return the smallest value of each feature and the reciprocal of its range, (d,) each."""
    return _affine.arrays(gallery.min(axis=0), np.ptp(gallery, axis=0))
