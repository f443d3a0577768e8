"""Project to the gallery's principal components (Jolliffe, Principal Component Analysis, 2002)."""

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays
from cbir.files.errors import InputError

OPTIONS = {
    "dimension": {"description": "How many principal components are kept.", "type": "integer", "minimum": 1},
    "whiten": {
        "description": "The power of its standard deviation that each component is divided by: 0 leaves variances as "
        "they are, 1 makes them 1, 0.5 is half-way.",
        "type": ["number", "boolean"],
        "minimum": 0,
        "maximum": 1,
        "default": 0,
    },
}


def fit(gallery: NDArray[np.float64], *, dimension: int, whiten: float = 0) -> Arrays:
    """Return the mean and the components (d, dimension), by exact decomposition, so that nothing is random.

    Args:
        gallery: (n, d).
        dimension: how many components are kept.
        whiten: each component is divided by its standard deviation to this power, from 0 to 1; True is 1.

    Raises:
        InputError: when there are fewer images or features than components asked for.
    """
    most = min(gallery.shape[0] - 1, gallery.shape[1])
    if dimension > most:
        raise InputError(
            f"config: a transform asks for {dimension} principal components, but {gallery.shape[0]} train images with "
            f"{gallery.shape[1]} features have at most {most}: lower its dimension."
        )
    # Here, so that whoever only applies a transform waits for no import.
    from sklearn.decomposition import PCA

    found = PCA(dimension, svd_solver="full").fit(gallery)
    projection = found.components_.T
    if whiten:
        deviation = np.sqrt(found.explained_variance_)
        # A direction without spread is noise of the arithmetic; it is not blown up.
        projection = projection / np.where(deviation > 1e-9 * deviation[0], deviation ** float(whiten), np.inf)
    return {"mean": found.mean_, "projection": projection}


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return the rows' coordinates along the components, from the mean."""
    projected: NDArray[np.float64] = (rows - arrays["mean"]) @ arrays["projection"]
    return projected
