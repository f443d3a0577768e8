"""The triplet loss: |f(a) - f(p)|^2 + margin < |f(a) - f(n)|^2."""

from typing import Any

from keras import ops


def triplet_hinge(positive: Any, negative: Any, margin: float) -> Any:
    """Return by how much each triplet misses the margin, 0 where it keeps it.

    Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    CVPR 2015.

    Args:
        positive: squared distances of anchors to positives, any shape.
        negative: squared distances of anchors to negatives, the same shape.
        margin: how much farther, in squared distances, a negative must be.
    """
    return ops.maximum(positive - negative + margin, 0)


def triplet_loss(positive: Any, negative: Any, present: Any, margin: float) -> tuple[Any, Any]:
    """Return the mean hinge over the triplets and the share of them that is active, that is, whose hinge is above 0.

    Args:
        positive: squared distances of anchors to positives, any shape.
        negative: squared distances of anchors to negatives, the same shape.
        present: 1 where there is a triplet, 0 where not, the same shape.
        margin: see `triplet_hinge`.

    Returns:
        Two scalars.
    """
    hinge = triplet_hinge(positive, negative, margin)
    count = ops.sum(present)
    active = ops.sum(present * ops.cast(hinge > 0, present.dtype)) / count
    return ops.sum(present * hinge) / count, active


def spread(embeddings: Any) -> Any:
    """Return the root mean square distance of ``embeddings`` (n, d) to their mean: 0 when all are the same."""
    centred = embeddings - ops.mean(embeddings, axis=0, keepdims=True)
    return ops.sqrt(ops.mean(ops.sum(centred * centred, axis=1)))
