"""Take the gallery's smallest value to 0 and its largest to 1, all features alike, which keep their proportions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays, _affine

OPTIONS: dict[str, dict[str, Any]] = {}

apply = _affine.apply


def fit(gallery: NDArray[np.float64]) -> Arrays:
    """Return the smallest value and the inverse of the range."""
    return _affine.arrays(gallery.min(), np.asarray(np.ptp(gallery)))
