"""Mining: choose the triplets (anchor, positive, negative) of a batch.

Each function returns three arrays of one shape: the squared distances of anchors to their positives, those to their
negatives, and 1 for a triplet or 0 for none. All operations are dense (masks, maxima and minima instead of indices),
because their gradients are deterministic, also on a GPU.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray


def squared_distances(embeddings: Any) -> Any:
    """Return all squared Euclidean distances (n, n) between ``embeddings`` (n, d), none below 0."""
    squares = ops.sum(embeddings * embeddings, axis=1)
    products = ops.matmul(embeddings, ops.transpose(embeddings))
    return ops.maximum(squares[:, None] + squares[None, :] - 2 * products, 0)


def random_partners(
    labels: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw for each image of a batch another image of its category and an image of a different category.

    They are drawn when a batch is made and not in the loss, because the random numbers of Keras in a loss cannot be
    repeated by a resumed training with every backend.

    Args:
        labels: integers (n,), at least two categories and two images of each.
        generator: source of random numbers.

    Returns:
        The positions of the positives and of the negatives in the batch, int64 (n,) each.
    """
    same = labels[:, None] == labels[None, :]
    draws = generator.random(same.shape)
    positives = np.where(same & ~np.eye(len(labels), dtype=bool), draws, -1).argmax(axis=1)
    negatives = np.where(same, -1, draws).argmax(axis=1)
    return positives.astype(np.int64), negatives.astype(np.int64)


def random_triplets(distances: Any, positives: Any, negatives: Any) -> tuple[Any, Any, Any]:
    """Return one triplet per anchor, with the partners that `random_partners` drew.

    Args:
        distances: squared distances (n, n).
        positives: integers (n,).
        negatives: integers (n,).

    Returns:
        Three arrays (n,), see the module.
    """
    count = ops.shape(distances)[0]
    columns = ops.arange(count, dtype="int32")[None, :]

    def pick(partners: Any) -> Any:
        chosen = ops.cast(partners, "int32")[:, None] == columns
        return ops.sum(ops.where(chosen, distances, 0), axis=1)

    positive = pick(positives)
    return positive, pick(negatives), ops.ones_like(positive)


def batch_hard_triplets(distances: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Return one triplet per anchor: its farthest positive and its nearest negative.

    Source: Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017.

    Args:
        distances: squared distances (n, n).
        labels: integers (n,), at least two categories and two images of each.

    Returns:
        Three arrays (n,), see the module.
    """
    positive_pairs, negative_pairs = _pairs(labels)
    positive = ops.max(ops.where(positive_pairs, distances, 0), axis=1)
    negative = ops.min(ops.where(negative_pairs, distances, _FAR), axis=1)
    return positive, negative, ops.ones_like(positive)


def semi_hard_triplets(distances: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Return a triplet for each pair of anchor and positive: the nearest negative that is farther than the positive.

    If no negative is farther, the farthest negative is taken. Source: Schroff, Kalenichenko and Philbin, "FaceNet: A
    Unified Embedding for Face Recognition and Clustering", CVPR 2015; the fallback is that of TensorFlow Addons.

    Args:
        distances: squared distances (n, n).
        labels: integers (n,), at least two categories and two images of each.

    Returns:
        Three arrays (n, n), row = anchor, column = positive, see the module.
    """
    positive_pairs, negative_pairs = _pairs(labels)
    # Axes: anchor, positive, negative.
    farther = ops.logical_and(negative_pairs[:, None, :], distances[:, None, :] > distances[:, :, None])
    nearest_farther = ops.min(ops.where(farther, distances[:, None, :], _FAR), axis=2)
    farthest = ops.max(ops.where(negative_pairs, distances, 0), axis=1)
    negative = ops.where(ops.any(farther, axis=2), nearest_farther, farthest[:, None])
    return distances, negative, ops.cast(positive_pairs, distances.dtype)


_FAR = 1e30  # Instead of infinity, with which gradients would be NaN.


def _pairs(labels: Any) -> tuple[Any, Any]:
    """Return the masks of positive and of negative pairs (anchor, image), bool (n, n) each."""
    same = labels[:, None] == labels[None, :]
    itself = ops.cast(ops.eye(ops.shape(labels)[0]), "bool")
    return ops.logical_and(same, ops.logical_not(itself)), ops.logical_not(same)
