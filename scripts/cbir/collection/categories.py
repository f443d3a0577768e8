"""The labels of categories, as ``categories.json`` holds them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.files.errors import InputError
from cbir.files.tables import read_json

UNKNOWN = -1
"""The label of an image without a category; its category is empty."""


def category_labels(categories: pd.Series) -> dict[str, int]:
    """Return the label of each category: its position in the sorted list of names. The empty one has none."""
    return {category: label for label, category in enumerate(sorted(set(categories) - {""}))}


def names_of(labels: NDArray[np.int64], categories: Sequence[str]) -> NDArray[np.str_]:
    """Return the category of each label, empty for ``UNKNOWN``.

    Args:
        labels: int64 (n,).
        categories: the name of each label.

    Returns:
        Text (n,).
    """
    # -1 is the last one.
    return np.array([*categories, ""], np.str_)[labels]


def read_categories(path: str | Path) -> list[str]:
    """Read the categories' names in the order of their labels from ``categories.json``.

    Raises:
        InputError: when the file is missing or damaged.
    """
    names = read_json(path, {"index_to_category": dict})["index_to_category"]
    found = [names.get(str(label)) for label in range(len(names))]
    if not all(isinstance(name, str) for name in found):
        raise InputError(f"{path} does not name the categories from 0 on: remove it and run again.")
    return found
