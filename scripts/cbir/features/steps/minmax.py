"""Map the smallest value in the gallery to 0 and the largest to 1, by one affine map for all features."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays, _affine

OPTIONS: dict[str, dict[str, Any]] = {}

apply = _affine.apply


def fit(gallery: NDArray[np.float64]) -> Arrays:
    """Return the smallest value and the reciprocal of the range, as scalars."""
    return _affine.arrays(gallery.min(), np.asarray(np.ptp(gallery)))
