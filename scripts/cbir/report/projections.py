"""Vectors brought to two dimensions, to look at."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["pca", "tsne"]
_BEFORE = 50
"""Dimensions that t-SNE starts from, as its authors advise."""
_PERPLEXITY = 30


def project(features: NDArray[np.float32], kind: Kind) -> tuple[NDArray[np.float64], float | None]:
    """Return coordinates in the plane and, of principal components, the share of the variance that they hold.

    Args:
        features: (n, d).
        kind: ``pca``, the first two principal components (Jolliffe, Principal Component Analysis, 2002), or ``tsne``
            (van der Maaten and Hinton, JMLR 2008), which keeps near ones near and says nothing of far ones. Both take
            the seed 0. Of fewer than four images, ``tsne`` gives the principal components.

    Returns:
        (n, 2) coordinates, and the share; None of t-SNE, and where all vectors are equal.
    """
    if kind == "tsne" and len(features) > 3:
        from sklearn.manifold import TSNE

        before = _components(features, _BEFORE)[0]
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        found = TSNE(2, init="pca" if before.shape[1] > 1 else "random", perplexity=perplexity, random_state=0)
        return found.fit_transform(before).astype(np.float64), None
    return _components(features, 2)


def _components(features: NDArray[np.float32], most: int) -> tuple[NDArray[np.float64], float | None]:
    """Return the first principal components, at least two columns, and the share of the variance of all of them."""
    from sklearn.decomposition import PCA

    centred = features - features.mean(axis=0, dtype=np.float64)
    if not centred.any():
        return np.zeros((len(features), 2)), None
    # Exact decomposition of 2,000 images with 2,560 values takes three seconds, this one a sixteenth of one.
    found = PCA(min(most, *features.shape), svd_solver="randomized", random_state=0)
    coordinates = found.fit_transform(centred)
    padded = np.zeros((len(features), max(2, coordinates.shape[1])))
    padded[:, : coordinates.shape[1]] = coordinates
    return padded, float(found.explained_variance_ratio_.sum())
