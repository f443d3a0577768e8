"""Signed power of each value, which dampens large values (Perronnin, Sanchez and Mensink, ECCV 2010)."""

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays

OPTIONS = {
    "exponent": {
        "description": "The power of the absolute value; the sign is kept, so 0.5 is the signed square root.",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 10,
        "default": 0.5,
    },
}


def fit(gallery: NDArray[np.float64], *, exponent: float) -> Arrays:
    """Return the exponent, because the step learns nothing."""
    return {"exponent": np.asarray(exponent, np.float64)}


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return sign(x) |x|^exponent of each value x."""
    raised: NDArray[np.float64] = np.sign(rows) * np.abs(rows) ** arrays["exponent"]
    return raised
