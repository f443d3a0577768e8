"""Names and labels of categories, and images with several categories.

The categories of an image that has several are joined by ``SEPARATOR``, as in ``bird / water``. Each such combination
has a label of its own. Two images are relevant to each other if they share a category.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.files.errors import InputError
from cbir.files.tables import read_json

SEPARATOR = " / "
"""Between the categories of an image that has several. No folder name can contain it."""

UNKNOWN = -1
"""The label of an image without a category; its category is empty."""


def category_labels(categories: pd.Series) -> dict[str, int]:
    """Return the label of each category: its position in the sorted list of names. The empty category has no label."""
    return {category: label for label, category in enumerate(sorted(set(categories) - {""}))}


def members(category: str) -> list[str]:
    """Split a combination of categories; return single ones in alphabetical order, each once."""
    return sorted(set(category.split(SEPARATOR)) - {""})


def singles(categories: Iterable[str]) -> list[str]:
    """Split all combinations of categories; return single ones in alphabetical order, each once."""
    return sorted({name for category in categories for name in members(category)})


def share(one: str, other: str) -> bool:
    """Tell whether two combinations of categories have a category in common."""
    return one == other if SEPARATOR not in one + other else not set(members(one)).isdisjoint(members(other))


def rarest(categories: pd.Series) -> pd.Series:
    """Return for each image its rarest category, among equally rare ones the first by name.

    This is used where an image must have a single category, for example to split each category.
    """
    counts = Counter(name for category in categories for name in members(category))
    known = {
        category: min(members(category), key=lambda name: (counts[name], name), default="")
        for category in set(categories)
    }
    return categories.map(known).astype(str)


class Relevant:
    """Which labels share a category.

    Attributes:
        several: whether any label has several categories.
        names: the single categories; where each label has one, in the order of labels.
        has: bool (labels, names), which single categories each label has.
    """

    def __init__(self, categories: Sequence[str]) -> None:
        """Take the category of each label."""
        self.several = any(SEPARATOR in category for category in categories)
        self.names = singles(categories) if self.several else list(categories)
        place = {name: number for number, name in enumerate(self.names)}
        self.has = np.zeros((len(categories), len(self.names)), np.bool_)
        for label, category in enumerate(categories):
            self.has[label, [place[name] for name in (members(category) if self.several else [category])]] = True
        # If each label has one category, labels are relevant if they are equal, which needs no table.
        self._shared = self.has.astype(np.float32) @ self.has.T.astype(np.float32) > 0 if self.several else None

    @classmethod
    def one_each(cls, *labels: NDArray[np.int64]) -> "Relevant":
        """Return the relevance where each label, from 0 to the largest in ``labels``, is a category of its own."""
        return cls([str(label) for label in range(1 + max((int(part.max(initial=-1)) for part in labels), default=-1))])

    def __call__(self, labels: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which labels are relevant to which others; the arrays are broadcast to each other."""
        found: NDArray[np.bool_] = labels == others if self._shared is None else self._shared[labels, others]
        return found

    def count(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many images are relevant to each label, from the number of images with each label, (labels,)."""
        return counts if self._shared is None else self._shared @ counts


def names_of(labels: NDArray[np.int64], categories: Sequence[str]) -> NDArray[np.str_]:
    """Return the category of each label, empty for ``UNKNOWN``.

    Args:
        labels: int64 (n,).
        categories: the name of each label.

    Returns:
        Text (n,).
    """
    # The label -1 selects the last element, which is empty.
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
