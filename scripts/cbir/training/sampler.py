"""Draw the images of each batch: P categories x K images, which depend on seed and epoch alone."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def epoch_batches(
    labels: Indices, categories: int, images: int, seed: int, epoch: int, steps: int | None = None
) -> Indices:
    """Return the batches of one epoch.

    A pass over the collection deals each category's shuffled images into groups of ``images`` and puts groups of
    different categories together, the categories with most groups left first. So each pass shows every image at least
    once. What is missing is filled up with images of the category drawn again: in the last group of a category, in a
    category with fewer than ``images`` images, and in batches for which too few categories have groups left.

    Args:
        labels: integers (n,), the category of each image; at least two categories.
        categories: P; lowered to the number of categories there are.
        images: K.
        seed: of the whole training.
        epoch: its number. The result depends on these arguments alone, not on epochs drawn before.
        steps: how many batches; None for exactly one pass. More than a pass goes on with the next.

    Returns:
        Positions in ``labels``, int64 (steps, P * K), the K images of a category next to each other.
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
        # Most groups left first, ties in random order.
        chosen = np.lexsort((generator.random(len(groups)), -left))[:categories]
        batches.append(
            np.concatenate([groups[c].pop() if groups[c] else _draw(members[c], images, generator) for c in chosen])
        )
    # Early batches hold the largest categories only, so the order of the batches is shuffled.
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
