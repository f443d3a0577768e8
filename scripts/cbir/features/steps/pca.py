"""Project to the gallery's principal components (Jolliffe, Principal Component Analysis, 2002)."""

import logging

import numpy as np
from numpy.typing import NDArray

from cbir.features.steps import Arrays
from cbir.files.errors import InputError

log = logging.getLogger("cbir")

OPTIONS = {
    "dimension": {
        "description": "How many principal components are kept; if the train images have fewer, all, with a warning.",
        "type": "integer",
        "minimum": 1,
    },
    "whiten": {
        "description": "Each component is divided by its standard deviation to this power: 0 keeps the variances, 1 "
        "makes all of them 1.",
        "type": ["number", "boolean"],
        "minimum": 0,
        "maximum": 1,
        "default": 0,
    },
}


def fit(gallery: NDArray[np.float64], *, dimension: int, whiten: float) -> Arrays:
    """Return the mean (d,) and the projection (d, dimension), by an exact decomposition without random numbers.

    Args:
        gallery: (n, d).
        dimension: how many components are kept; if the gallery has fewer (min(n - 1, d)), all, with a warning.
        whiten: each component is divided by its standard deviation to this power, from 0 to 1; True is 1.

    Raises:
        InputError: when the gallery has a single image and thus no principal component.
    """
    most = min(gallery.shape[0] - 1, gallery.shape[1])
    if not most:
        raise InputError("A step asks for principal components, which a single train image does not have: add images.")
    if dimension > most:
        log.warning(
            "%d principal components instead of %d: %d train images with %d features have no more",
            *(most, dimension, *gallery.shape),
        )
        dimension = most
    # Imported here, because it is slow and `apply` does not need it.
    from sklearn.decomposition import PCA

    found = PCA(dimension, svd_solver="full").fit(gallery)
    projection = found.components_.T
    if whiten:
        deviation = np.sqrt(found.explained_variance_)
        # The values along a component without variance are rounding errors. They become 0 instead of being amplified.
        projection = projection / np.where(deviation > 1e-9 * deviation[0], deviation ** float(whiten), np.inf)
    return {"mean": found.mean_, "projection": projection}


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return the coordinates of the centred rows along the components."""
    projected: NDArray[np.float64] = (rows - arrays["mean"]) @ arrays["projection"]
    return projected
