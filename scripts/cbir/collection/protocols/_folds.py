"""Functions for protocols whose test images are both queries and gallery."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.small import refuse_small
from cbir.files.errors import InputError

TEST_COLUMNS = [*SPLIT_COLUMNS, "fold"]
"""Columns of a test split that is its own gallery: images of the query's fold are not among its results."""


def apart(images: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Put each image and its near-duplicates into a fold of their own.

    Args:
        images: columns ``SPLIT_COLUMNS``.
        groups: by sha256, the group of each image that has near-duplicates.

    Returns:
        The images, columns ``TEST_COLUMNS``, sorted by image_id.
    """
    rows = images.sort_values("image_id", ignore_index=True)[SPLIT_COLUMNS]
    pictures = [groups.get(digest, digest) for digest in rows["sha256"]]
    return rows.assign(fold=pd.factorize(pd.Series(pictures, dtype=object))[0] + 1)


def alone(test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of all splits where test has all images, and train and val are empty."""
    return {name: test if name == "test" else test.loc[[], SPLIT_COLUMNS] for name in SPLITS}


def of_two(images: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[pd.DataFrame, set[str]]:
    """Apply ``split.small`` where a category needs two images.

    Args:
        images: with the column ``category``.
        settings: ``small``: categories of one image are refused (``refuse``, the default), kept (``gallery``) or
            removed (``drop``).

    Returns:
        The images without removed categories, and the names of the categories of one image.

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
