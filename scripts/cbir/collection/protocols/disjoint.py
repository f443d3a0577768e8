"""Different categories in train and test, to measure retrieval of categories that no encoder was trained on."""

import logging
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pandas as pd

from cbir.collection.columns import SPLITS
from cbir.collection.protocols import random
from cbir.collection.protocols._folds import apart, of_two
from cbir.collection.protocols._order import key
from cbir.files.errors import InputError

GALLERY = "test"
EXPLANATION = (
    "No category of test is in train or val, so no encoder has seen any image of it. Each test image is a query, and "
    "the other test images without its near-duplicates are its gallery."
)

# With one category in test, every result would be right; with one in train, a network could not learn to separate it.
_LEAST = 2

log = logging.getLogger("cbir")


def least(settings: Mapping[str, Any]) -> int:
    """Return the number of images that a category needs: a query and a result, or one for train and one for val."""
    return 2


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Put whole categories into test, which is its own gallery, and the others into train and val.

    Categories are ordered by the SHA-256 of seed and name, and the share ``test`` of them, at least two, goes to test.
    CUB-200-2011 and Stanford Online Products are evaluated in this way (Oh Song et al., CVPR 2016). Each other category
    is split at random into train and val, in the proportion of their shares, so that training has validation images.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        settings: ``train``, ``val`` and ``test``, ``seed`` and ``small``: categories of one image are refused, or go to
            train (``gallery``), or are in no split (``drop``).
        groups: by sha256, the group of each image that has near-duplicates. Near-duplicates of a query are not among
            its results; if a group has images in test, its images of other categories are in no split.

    Returns:
        A table a split, sorted by image_id; ``test`` has the column ``fold``.

    Raises:
        InputError: when categories have one image, or fewer than four categories have two or more.
    """
    kept, few = of_two(images, settings)
    names = sorted(set(kept["category"]) - few, key=lambda name: key(settings["seed"], name))
    if len(names) < 2 * _LEAST:
        raise InputError(
            f"split.protocol disjoint puts some categories into train and others into test, at least {_LEAST} each, "
            f"but only {len(names)} have two images or more: add categories, or set split.protocol to leave-one-out."
        )
    share = {name: Fraction(str(settings[name])) for name in SPLITS}
    count = int(share["test"] * len(names) + Fraction(1, 2))
    tested = set(names[: min(max(count, _LEAST), len(names) - _LEAST)])
    in_test = kept["category"].isin(tested)
    test, rest = kept[in_test], kept[~in_test]
    shown = {groups[digest] for digest in test["sha256"] if digest in groups}
    copies = rest["sha256"].map(groups).isin(shown)
    if copies.any():
        log.warning(
            "%d images of train categories are in no split, because test has copies of them: %s",
            copies.sum(),
            ", ".join(rest.loc[copies, "image_id"].sort_values().head(20)),
        )
    rest = rest[~copies]
    seen = share["train"] + share["val"]
    shares = {"train": share["train"] / seen, "val": Fraction(0), "test": share["val"] / seen}
    if shares["test"]:
        divided = random.split(rest, {**settings, **shares, "small": "gallery"}, groups)
    else:
        divided = {"train": apart(rest, {}).drop(columns="fold"), "test": apart(rest.iloc[:0], {}).drop(columns="fold")}
    return {"train": divided["train"], "val": divided["test"], "test": apart(test, groups)}
