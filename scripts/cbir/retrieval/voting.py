"""Classification by the nearest neighbours' labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def majority_vote(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the label most frequent among each query's neighbours.

    A tie goes to the label, among those tied, whose nearest member is nearest. So when all labels are distinct, the
    nearest neighbour's wins (scikit-learn's classifier takes the smallest label instead).

    Args:
        labels: integers (queries, k), the neighbours' labels, nearest first.

    Returns:
        int64 (queries,).

    Raises:
        ValueError: when ``labels`` is not two-dimensional or holds no neighbour (k = 0).
    """
    if labels.ndim != 2 or labels.shape[1] == 0:
        raise ValueError(f"labels must be (queries, k) with k at least 1, not {labels.shape}")
    votes = np.stack([np.count_nonzero(labels == column[:, None], axis=1) for column in labels.T], axis=1)
    # argmax takes the first of equal counts, which is the nearest neighbour with that many votes.
    winner = votes.argmax(axis=1)
    voted: NDArray[np.int64] = labels[np.arange(len(labels)), winner].astype(np.int64)
    return voted
