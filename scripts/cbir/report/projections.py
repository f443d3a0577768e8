"""Project feature vectors to two dimensions for a map."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["pca", "tsne"]
_BEFORE = 50
"""Principal components that t-SNE starts from, as its authors advise."""
_PERPLEXITY = 30


def project(features: NDArray[np.float32], kind: Kind) -> tuple[NDArray[np.float64], float | None]:
    """Return coordinates in the plane and, for principal components, the share of the variance that they explain.

    Args:
        features: (n, d).
        kind: ``pca``, the first two principal components (Jolliffe, Principal Component Analysis, 2002), or ``tsne``
            (van der Maaten and Hinton, JMLR 2008), which preserves neighbourhoods but not large distances; its seed is
            0. With fewer than four images, ``tsne`` returns the principal components.

    Returns:
        Coordinates (n, 2) float64, and the share; None for t-SNE, and if all vectors are equal.
    """
    if kind == "tsne" and len(features) > 3:
        from sklearn.manifold import TSNE

        before = _components(features, _BEFORE)[0]
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        found = TSNE(2, init="pca" if before.shape[1] > 1 else "random", perplexity=perplexity, random_state=0)
        return found.fit_transform(before).astype(np.float64), None
    return _components(features, 2)


def _components(features: NDArray[np.float32], most: int) -> tuple[NDArray[np.float64], float | None]:
    """Return the scores of the first ``most`` principal components, padded with zeros to two columns or more.

    The second value is the share of the variance that they explain; None if all vectors are equal.
    """
    centred = features - features.mean(axis=0, dtype=np.float64)
    whole = float(np.square(centred).sum())
    if not whole:
        return np.zeros((len(features), 2)), None
    if most < min(features.shape):
        # Imported here, because only maps need it. The Lanczos iterations take a thirtieth of the time of a full
        # decomposition of 1,500 images with 2,560 values; the fixed v0 makes them reproducible.
        from scipy.sparse.linalg import svds

        left, values, _ = svds(centred, k=most, v0=np.ones(min(features.shape)))
        left, values = left[:, ::-1], values[::-1]
    else:
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = (left * values)[:, :most]
    # The sign of a component is arbitrary: the score with the largest absolute value is made positive.
    coordinates *= np.sign(coordinates[np.abs(coordinates).argmax(axis=0), np.arange(coordinates.shape[1])])
    padded = np.zeros((len(features), max(2, coordinates.shape[1])))
    padded[:, : coordinates.shape[1]] = coordinates
    return padded, float(np.square(values[:most]).sum() / whole)
