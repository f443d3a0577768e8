"""Draw the batches of an epoch, each of P categories with K images; they depend on seed and epoch alone."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def epoch_batches(
    labels: Indices, categories: int, images: int, seed: int, epoch: int, steps: int | None = None
) -> Indices:
    """Return the batches of one epoch.

    A pass splits the shuffled images of each category into groups of K, and combines groups of P categories to a batch,
    starting with the categories that have the most groups left. Thus a pass shows every image at least once. Images
    are drawn again to complete the last group of a category, to complete a category with fewer than K images, and for
    batches when fewer than P categories have groups left.

    Args:
        labels: integers (n,), the label of each image; at least two categories.
        categories: P; at most the number of categories is used.
        images: K.
        seed: seed of the training.
        epoch: number of the epoch.
        steps: number of batches; None for exactly one pass. If it exceeds one pass, further passes follow.

    Returns:
        Positions in ``labels``, int64 (steps, P * K); the K images of a category are adjacent.
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    batches: list[Indices] = []
    number = 0
    while number == 0 or (steps is not None and len(batches) < steps):
        generator = np.random.default_rng([seed, epoch, 0, number])
        batches += _one_pass(members, min(categories, len(members)), images, generator)
        number += 1
    return np.stack(batches[:steps])


def _one_pass(members: list[Indices], categories: int, images: int, generator: np.random.Generator) -> list[Indices]:
    groups = [_deal(member, images, generator) for member in members]
    batches = []
    while any(groups):
        left = np.array([len(group) for group in groups])
        # The categories with the most groups left; ties are broken at random.
        chosen = np.lexsort((generator.random(len(groups)), -left))[:categories]
        batches.append(
            np.concatenate([groups[c].pop() if groups[c] else _draw(members[c], images, generator) for c in chosen])
        )
    # Shuffled, because the first batches prefer large categories.
    return [batches[i] for i in generator.permutation(len(batches))]


def _deal(member: Indices, images: int, generator: np.random.Generator) -> list[Indices]:
    shuffled = generator.permutation(member)
    missing = -len(shuffled) % images
    last = len(shuffled) // images * images
    others = shuffled[:last] if last else shuffled
    filled = np.concatenate([shuffled, _draw(others, missing, generator)]) if missing else shuffled
    return list(filled.reshape(-1, images))


def _draw(member: Indices, count: int, generator: np.random.Generator) -> Indices:
    return generator.choice(member, count, replace=count > len(member))
