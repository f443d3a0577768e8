"""The labels of categories, as ``categories.json`` holds them."""

from pathlib import Path

import pandas as pd

from cbir.files.errors import InputError
from cbir.files.tables import read_json


def category_labels(categories: pd.Series) -> dict[str, int]:
    """Return the label of each category: its position in the sorted list of names."""
    return {category: label for label, category in enumerate(sorted(set(categories)))}


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
