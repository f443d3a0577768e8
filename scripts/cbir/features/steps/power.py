"""Signed power of each value (Perronnin, Sanchez and Mensink, ECCV 2010), which dampens large ones; the square root."""

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays

OPTIONS = {
    "exponent": {
        "description": "Each value's amount is raised to it, and the sign kept; 0.5 is the square root.",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 10,
        "default": 0.5,
    },
}


def fit(gallery: NDArray[np.float64], *, exponent: float = 0.5) -> Arrays:
    """Return the exponent: there is nothing to learn."""
    return {"exponent": np.asarray(exponent, np.float64)}


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return sign(x) |x|^exponent of each value x."""
    raised: NDArray[np.float64] = np.sign(rows) * np.abs(rows) ** arrays["exponent"]
    return raised
