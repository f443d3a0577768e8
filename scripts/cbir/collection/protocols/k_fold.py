"""Cross-validation: the images of each fold in turn are queries, and those of all other folds the gallery."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.protocols._folds import TEST_COLUMNS, alone, of_two
from cbir.collection.protocols._order import key
from cbir.files.errors import InputError

GALLERY = "test"
EVERY_IMAGE_ASKS = True
FOLDS = True
SETTINGS = ("folds",)
EXPLANATION = (
    "The images of each fold are queries, and those of all other folds are their gallery, so that each image is a "
    "query once. No encoder is trained here, because it would have seen the queries."
)


def least(settings: Mapping[str, Any]) -> int:
    """Return the number of images that a category needs: a query, and a result in another fold."""
    return 2


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Put all images into test, and each into a fold.

    The images of each category are ordered by the SHA-256 of seed and content and cut into equal parts, one for each
    fold. The fold of the first part is drawn for each category, so that the folds have about equal sizes. An additional
    image moves no boundary by more than one position. Near-duplicates are all in the fold of the one that is first in
    this order.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        settings: ``folds``, the number of folds; ``seed``; ``small``: categories of one image are refused, or stay in
            the gallery, where they are queries without relevant images (``gallery``), or are in no split (``drop``).
        groups: by sha256, the group of each image that has near-duplicates.

    Returns:
        A table a split, sorted by image_id; ``train`` and ``val`` are empty, ``test`` has the column ``fold``, from 1.

    Raises:
        InputError: when categories have one image, none has more, or a fold has no image.
    """
    kept, _ = of_two(images, settings)
    folds, seed = int(settings["folds"]), settings["seed"]
    table = kept.assign(_key=[key(seed, digest) for digest in kept["sha256"]]).sort_values("_key", ignore_index=True)
    by_category = table.groupby("category")["_key"]
    first = table["category"].map({name: int(key(seed, name)[:8], 16) for name in set(table["category"])})
    table["fold"] = (by_category.cumcount() * folds // by_category.transform("size") + first) % folds + 1
    # The table is sorted by key, so the first image of a group has the smallest key.
    pictures = [groups.get(digest, digest) for digest in table["sha256"]]
    table["fold"] = table.groupby(pictures)["fold"].transform("first")
    if lacking := set(range(1, folds + 1)) - set(table["fold"]):
        raise InputError(
            f"{len(lacking)} of {folds} folds would have no image: lower split.folds, or set split.protocol to "
            "leave-one-out."
        )
    return alone(table.sort_values("image_id", ignore_index=True)[TEST_COLUMNS])
