"""Affine maps of features, shared by the steps that shift and scale."""

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays


def arrays(low: NDArray[np.float64], width: NDArray[np.float64]) -> Arrays:
    """Return offset and scale that map ``low`` to 0 and ``low + width`` to 1; both arguments are scalars or (d,)."""
    # The width of a constant feature is 0. Dividing by 1 instead maps the feature to 0.
    return {"offset": np.asarray(low), "scale": np.asarray(1 / np.where(width > 0, width, 1))}


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return ``(rows - offset) * scale``."""
    moved: NDArray[np.float64] = (rows - arrays["offset"]) * arrays["scale"]
    return moved
