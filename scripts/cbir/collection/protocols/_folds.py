"""Test splits that are their own gallery: which images a query does not find, and categories of one image."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.small import refuse_small
from cbir.files.errors import InputError

TEST_COLUMNS = [*SPLIT_COLUMNS, "fold"]
"""Of the test split where it is its own gallery: an image is no result of a query of the same fold."""


def apart(images: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Return images, columns ``TEST_COLUMNS``, sorted by image_id; each is a fold of its own, with its near-duplicates.

    Args:
        images: columns ``SPLIT_COLUMNS``.
        groups: the group of each content (sha256) that has near-duplicates.
    """
    rows = images.sort_values("image_id", ignore_index=True)[SPLIT_COLUMNS]
    pictures = [groups.get(digest, digest) for digest in rows["sha256"]]
    return rows.assign(fold=pd.factorize(pd.Series(pictures, dtype=object))[0] + 1)


def alone(test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the splits of a protocol all of whose images are in test."""
    return {name: test if name == "test" else test.loc[[], SPLIT_COLUMNS] for name in SPLITS}


def of_two(images: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[pd.DataFrame, set[str]]:
    """Return the images that a protocol uses which asks for two of a category, and the categories that have one.

    Args:
        images: with the column ``category``.
        settings: ``small``: ``refuse`` (where it is not given), ``gallery``, which keeps such categories, or ``drop``.

    Raises:
        InputError: when categories are refused, or none has two images.
    """
    counts = {str(name): int(count) for name, count in images["category"].value_counts().items()}
    few = {name for name, count in counts.items() if count < 2}
    small = settings.get("small", "refuse")
    if small == "refuse":
        refuse_small(counts, 2)
    if few >= set(counts):
        raise InputError("No category has the 2 usable images that the split needs: add images.")
    return (images[~images["category"].isin(few)] if small == "drop" else images), few
