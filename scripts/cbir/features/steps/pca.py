"""Project to the gallery's principal components (Jolliffe, Principal Component Analysis, 2002)."""

import logging

import numpy as np
from numpy.typing import NDArray

from cbir.features import blocks
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

    Of more than `blocks.IN_MEMORY` rows the covariance is decomposed, else the rows. Directions whose variance is below
    1e-16 of the largest are noise of the arithmetic in the former, below 1e-32 in the latter.

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
    mean, components, variances = (_in_memory if len(gallery) <= blocks.IN_MEMORY else _by_blocks)(gallery, dimension)
    projection = components.T
    if whiten:
        deviation = np.sqrt(variances)
        # The values along a component without variance are rounding errors. They become 0 instead of being amplified.
        projection = projection / np.where(deviation > 1e-9 * deviation[0], deviation ** float(whiten), np.inf)
    return {"mean": mean, "projection": projection}


def _in_memory(gallery: NDArray[np.float64], dimension: int) -> tuple[NDArray[np.float64], ...]:
    """Return the mean, the components (dimension, d) and their variances by singular values: three copies of rows."""
    # Imported here, because it is slow and `apply` does not need it.
    from sklearn.decomposition import PCA

    found = PCA(dimension, svd_solver="full").fit(gallery)
    return found.mean_, found.components_, found.explained_variance_


def _by_blocks(gallery: NDArray[np.float64], dimension: int) -> tuple[NDArray[np.float64], ...]:
    """Return the same by the eigenvectors of the covariance, of which only (d, d) is in memory."""
    mean = gallery.mean(axis=0)
    covariance = np.zeros((gallery.shape[1], gallery.shape[1]))
    for block in blocks.spans(len(gallery)):
        centred = gallery[block] - mean
        covariance += centred.T @ centred
    variances, vectors = np.linalg.eigh(covariance / (len(gallery) - 1))
    components = vectors[:, ::-1][:, :dimension].T
    # The sign is free: as in scikit-learn, each component's largest value is positive.
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return mean, components * np.sign(largest), np.maximum(variances[::-1][:dimension], 0)


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return the coordinates of the centred rows along the components."""
    projected: NDArray[np.float64] = (rows - arrays["mean"]) @ arrays["projection"]
    return projected
