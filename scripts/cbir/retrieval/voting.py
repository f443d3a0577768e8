"""Classification by the nearest neighbours' labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Queries whose votes are counted at once, to bound the memory of counts for each category.
_BLOCK = 1024


def majority_vote(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the label most frequent among each query's neighbours.

    Of tied labels the one with the nearest neighbour wins. So when all labels are distinct, it is the nearest
    neighbour's (scikit-learn's classifier takes the smallest label instead).

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
    # argmax returns the first of equal counts, and neighbours are sorted by distance.
    winner = votes.argmax(axis=1)
    voted: NDArray[np.int64] = labels[np.arange(len(labels)), winner].astype(np.int64)
    return voted


def majority_of_several(labels: NDArray[np.integer[Any]], has: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the category most frequent among each query's neighbours, each of which votes for all its categories.

    Of tied categories the one with the nearest neighbour wins; if that neighbour has several of them, the first. If
    each label has one category, the result is that of `majority_vote`.

    Args:
        labels: integers (queries, k), the neighbours' labels, nearest first.
        has: bool (labels, categories), which categories each label stands for, at least one.

    Returns:
        int64 (queries,), from 0 to the number of categories.
    """
    winner = np.full(len(labels), -1, np.int64)
    for start in range(0, len(labels), _BLOCK):
        columns = labels[start : start + _BLOCK].T
        votes = np.sum([has[column] for column in columns], axis=0)
        tied = votes == votes.max(axis=1, keepdims=True)
        for column in columns:
            best = tied & has[column]
            found = np.flatnonzero((winner[start : start + _BLOCK] < 0) & best.any(axis=1))
            winner[start + found] = best[found].argmax(axis=1)
    return winner
