"""Split a collection into train, validation and test images, by content."""

import hashlib
import math
from fractions import Fraction

import pandas as pd

from cbir.errors import InputError

SPLITS = ("train", "val", "test")
SPLIT_COLUMNS = ["image_id", "path", "category", "label", "sha256"]


def split(images: pd.DataFrame, shares: dict[str, float], seed: int) -> dict[str, pd.DataFrame]:
    """Split within each category.

    Each category's images are ordered by the SHA-256 of seed and content; the first are train, then val, then test.
    The borders stand at the rounded sums of the shares, so an image more moves neither border by more than one place.
    The order of the rows, file names and the platform play no part, and one image more or less moves at most one other
    image across each border inside its own category.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        shares: share of train, val and test; they sum to 1, val may be 0.
        seed: another seed gives another split.

    Returns:
        A table a split, columns ``SPLIT_COLUMNS``, sorted by image_id.

    Raises:
        InputError: when shares are no shares, or a category has too few images to serve every split.
    """
    exact = {name: Fraction(str(shares[name])) for name in SPLITS}
    if sum(exact.values()) != 1 or exact["train"] <= 0 or exact["test"] <= 0 or exact["val"] < 0:
        raise InputError(
            "split.train, split.val and split.test must sum to 1, with train and test above 0: change them."
        )
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in SPLITS}
    for category, group in images.groupby("category", sort=True):
        order = group.assign(_key=[_key(seed, digest) for digest in group["sha256"]]).sort_values("_key")
        start = 0
        for name, size in zip(SPLITS, _sizes(str(category), len(group), exact), strict=True):
            parts[name].append(order.iloc[start : start + size])
            start += size
    return {
        name: pd.concat(tables)[SPLIT_COLUMNS].sort_values("image_id", ignore_index=True)
        for name, tables in parts.items()
    }


def _key(seed: int, sha256: str) -> str:
    return hashlib.sha256(f"{seed}:{sha256}".encode()).hexdigest()


def _sizes(category: str, count: int, shares: dict[str, Fraction]) -> tuple[int, int, int]:
    """Return how many images are train, val and test: at least one where the share is not 0."""
    least_val = int(shares["val"] > 0)
    needed = 2 + least_val
    if count < needed:
        raise InputError(
            f"The category {category!r} has {count} usable image{'s' * (count != 1)}, fewer than the split needs "
            f"({needed} or more): add images or remove its folder."
        )
    train = min(max(_round(count * shares["train"]), 1), count - least_val - 1)
    before_test = min(max(_round(count * (1 - shares["test"])), train + least_val), count - 1)
    return train, before_test - train, count - before_test


def _round(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
