"""Give each feature mean 0 and (population) standard deviation 1 in the gallery."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features import blocks
from cbir.features.steps import Arrays, _affine

OPTIONS: dict[str, dict[str, Any]] = {}

apply = _affine.apply


def fit(gallery: NDArray[np.float64]) -> Arrays:
    """Return the mean of each feature and the reciprocal of its standard deviation, (d,) each."""
    if len(gallery) <= blocks.IN_MEMORY:
        return _affine.arrays(gallery.mean(axis=0), gallery.std(axis=0))
    mean = gallery.mean(axis=0)
    squares = sum(np.square(gallery[block] - mean).sum(axis=0) for block in blocks.spans(len(gallery)))
    return _affine.arrays(mean, np.sqrt(squares / len(gallery)))
