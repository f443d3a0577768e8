"""A random split of each category, where a hash of an image's content and the seed decides about the image."""

import logging
import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.protocols._order import key
from cbir.collection.small import least, refuse_small
from cbir.files.errors import InputError

Sizes = tuple[int, int, int]
"""Images in train, val and test."""

TEST = SPLITS.index("test")

log = logging.getLogger("cbir")


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Split each category by the shares, and keep groups of near-duplicates in one split.

    The images of each category are ordered by the SHA-256 of seed and content; the first ones go to train, the next to
    val, the last to test. The boundaries are the rounded sums of the shares, so an additional image moves each by at
    most one position. The result does not depend on the order of the rows, on file names or on the platform, and an
    image more or less moves at most one other image of its category across each boundary. This holds without groups: an
    image that joins or leaves a group may move the whole group, and other images in exchange, in each category of the
    group.

    All images of a group go to the split to which its image with the smallest SHA-256 would go without groups. If the
    group does not fit there, it goes to the split with most room. The other images fill the remaining places, so that
    sizes differ from the shares only if a group is larger than its split's share. A group is divided if otherwise a
    split would have no image of one of the group's categories.

    A category with fewer images than there are splits is refused, or goes to train only (``small: gallery``), or
    is in no split (``small: drop``).

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        settings: ``train``, ``val`` and ``test``, the share of each; they sum to 1, and that of val may be 0. ``seed``:
            another seed gives another split. ``small``: ``refuse`` (the default), ``gallery`` or ``drop``.
        groups: by sha256, the group of each image that has near-duplicates; the names of groups are arbitrary.

    Returns:
        A table a split, columns ``SPLIT_COLUMNS``, sorted by image_id.

    Raises:
        InputError: when the shares are not valid, or a category has too few images for all splits.
    """
    exact = {name: Fraction(str(settings[name])) for name in SPLITS}
    if sum(exact.values()) != 1 or exact["train"] <= 0 or exact["test"] <= 0 or exact["val"] < 0:
        raise InputError(
            "split.train, split.val and split.test must sum to 1, with train and test above 0: change them."
        )
    table = images.assign(_key=[key(settings["seed"], digest) for digest in images["sha256"]]).sort_values(
        "_key", ignore_index=True
    )
    counts = {str(category): len(group) for category, group in table.groupby("category", sort=True)}
    small, needed = settings.get("small", "refuse"), least(settings)
    if small == "refuse":
        refuse_small(counts, needed)
    if max(counts.values(), default=0) < needed:
        raise InputError(f"No category has the {needed} usable images that the split needs: add images.")
    if small == "drop":
        table = table[table["category"].map(counts) >= needed].reset_index(drop=True)
    targets = {
        category: _sizes(counts[category], exact) if counts[category] >= needed else (counts[category], 0, 0)
        for category in sorted(set(table["category"]))
    }
    table["_split"] = _split_alone(table, targets, pd.Series(-1, table.index))
    table["_split"] = _split_alone(table, targets, _place_groups(table, targets, groups))
    table = table.sort_values("image_id")
    return {
        name: table.loc[table["_split"] == number, SPLIT_COLUMNS].reset_index(drop=True)
        for number, name in enumerate(SPLITS)
    }


def _split_alone(table: pd.DataFrame, targets: dict[str, Sizes], placed: pd.Series) -> pd.Series:
    """Return each image's split (0, 1, 2): ``placed``, or where it is -1, a place that is free in its category."""
    found = placed.copy()
    for category, rows in placed.groupby(table["category"], sort=False):
        free = rows.index[rows == -1]
        held = [int((rows == number).sum()) for number in range(len(SPLITS))]
        sizes = _fill(targets[str(category)], held, len(free))
        found[free] = np.repeat(range(len(SPLITS)), sizes)
    return found


def _fill(target: Sizes, held: list[int], free: int) -> list[int]:
    """Return how many of the free images each split gets to come as near to its target as possible.

    ``held`` is the number of images that each split has already.
    """
    room = [max(size - there, 0) for size, there in zip(target, held, strict=True)]
    # If groups exceed the target of a split, the other splits get less, in proportion.
    borders = [_round(Fraction(free * sum(room[:count]), max(sum(room), 1))) for count in range(len(room) + 1)]
    sizes = [last - first for first, last in pairwise(borders)]
    for number, size in enumerate(target):
        if size and not held[number] and not sizes[number]:
            givers = [other for other in range(len(sizes)) if sizes[other] > (held[other] == 0)]
            largest = max(givers, key=lambda other: held[other] + sizes[other])
            sizes[largest] -= 1
            sizes[number] += 1
    return sizes


def _place_groups(table: pd.DataFrame, targets: dict[str, Sizes], groups: Mapping[str, str]) -> pd.Series:
    """Return the split of each image in a group that is kept in one split, -1 for all others."""
    # In the order of sha256, which does not depend on the seed.
    members = table.assign(_group=table["sha256"].map(groups)).dropna(subset="_group").sort_values("sha256")
    whole = {str(name): rows for name, rows in members.groupby("_group") if len(rows) > 1}
    while True:
        placed = _place(table, targets, whole)
        spoilt = _without_room(table, targets, placed)
        if not spoilt:
            return placed
        for category in sorted(spoilt):
            touching = [name for name, rows in whole.items() if (rows["category"] == category).any()]
            # The same group may have been removed for another category already.
            for name in sorted(touching, key=lambda name: (-len(whole[name]), name))[:1]:
                log.warning(
                    "A group of %d near-duplicates is not kept in one split: nothing would be left for another split "
                    "of %s.",
                    len(whole.pop(name)),
                    category,
                )


def _place(table: pd.DataFrame, targets: dict[str, Sizes], groups: dict[str, pd.DataFrame]) -> pd.Series:
    """Return the split of each image in a group, -1 for others; the largest groups are placed first."""
    placed = pd.Series(-1, table.index)
    room = {category: list(sizes) for category, sizes in targets.items()}
    for rows in sorted(groups.values(), key=lambda rows: (-len(rows), rows["sha256"].iloc[0])):
        counts = rows["category"].value_counts()
        spare = [
            min(room[str(name)][number] - count for name, count in counts.items()) for number in range(len(SPLITS))
        ]
        wanted = int(rows["_split"].iloc[0])
        number = wanted if spare[wanted] >= 0 else spare.index(max(spare))
        # A group with images of a category that is in the gallery only goes to the gallery as a whole.
        if any(targets[str(name)][TEST] == 0 for name in counts.index):
            number = 0
        placed[rows.index] = number
        for name, count in counts.items():
            room[str(name)][number] -= count
    return placed


def _without_room(table: pd.DataFrame, targets: dict[str, Sizes], placed: pd.Series) -> set[str]:
    """Return the categories with too few free images to give each split that has none at least one."""
    spoilt = set()
    for category, rows in placed.groupby(table["category"], sort=False):
        empty = [number for number, size in enumerate(targets[str(category)]) if size and not (rows == number).any()]
        if len(empty) > (rows == -1).sum():
            spoilt.add(str(category))
    return spoilt


def _sizes(count: int, shares: dict[str, Fraction]) -> Sizes:
    """Return the number of train, val and test images by the shares: at least one if the share is not 0."""
    least_val = int(shares["val"] > 0)
    train = min(max(_round(count * shares["train"]), 1), count - least_val - 1)
    before_test = min(max(_round(count * (1 - shares["test"])), train + least_val), count - 1)
    return train, before_test - train, count - before_test


def _round(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
