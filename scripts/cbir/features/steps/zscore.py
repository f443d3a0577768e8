"""Give each feature mean 0 and (population) standard deviation 1 in the gallery."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays, _affine

OPTIONS: dict[str, dict[str, Any]] = {}

apply = _affine.apply


def fit(gallery: NDArray[np.float64]) -> Arrays:
    """Return the mean of each feature and the reciprocal of its standard deviation, (d,) each."""
    return _affine.arrays(gallery.mean(axis=0), gallery.std(axis=0))
