"""All images of a group, such as those of one animal or of one day, are in the same split, like near-duplicates."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.protocols._order import key
from cbir.collection.small import least, refuse_small
from cbir.files.errors import InputError

# The order in which splits get the groups of a category that has few.
_NEEDED = ("train", "test", "val")


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Split groups of images, the largest first, each into the split that lacks most images of its categories.

    Images with the same name in the column ``group`` or in the same group of near-duplicates, directly or through other
    images, are always in the same split. Groups of equal size are taken in the order of a hash of their content and the
    seed. The sizes of the splits come as near to the shares as the sizes of the groups allow, and each category has a
    group in each split.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``; the column ``group`` may be missing, and is empty for
            an image without a group.
        settings: ``train``, ``val`` and ``test``, ``seed`` and ``small``: categories with fewer groups than splits are
            refused, or go to train only (``gallery``), or are in no split (``drop``).
        groups: by sha256, the group of each image that has near-duplicates.

    Returns:
        A table a split, columns ``SPLIT_COLUMNS``, sorted by image_id.

    Raises:
        InputError: when categories have too few groups, or groups with images of several categories leave a split
            without images of one.
    """
    table = images.sort_values("sha256", ignore_index=True)
    table["_group"] = _united(table, groups)
    counts = {str(name): int(count) for name, count in table.groupby("category")["_group"].nunique().items()}
    small, needed = settings.get("small", "refuse"), least(settings)
    if small == "refuse":
        refuse_small(counts, needed, "groups of images")
    few = {name for name, count in counts.items() if count < needed}
    if small == "drop":
        table = table[~table["category"].isin(few)]
    if few >= set(counts):
        raise InputError(f"No category has the {needed} groups of images that the split needs: add images.")
    placed = _placed(table, settings, few)
    table = table.sort_values("image_id")
    chosen = table["_group"].map(placed)
    tables = {name: table.loc[chosen == name, SPLIT_COLUMNS].reset_index(drop=True) for name in SPLITS}
    for name in _NEEDED[:needed]:
        if lacking := sorted(set(table["category"]) - few - set(tables[name]["category"])):
            raise InputError(
                f"Groups tie categories together so that {', '.join(lacking[:20])} cannot have any in {name}: "
                "divide groups, or add images."
            )
    return tables


def _united(table: pd.DataFrame, groups: Mapping[str, str]) -> NDArray[np.int64]:
    """Return the number of each image's group, (images,): the column ``group`` united with the near-duplicates."""
    rows = np.arange(len(table))
    named = table["group"] if "group" in table.columns else pd.Series("", table.index)
    links = []
    for names in (named.mask(named == ""), table["sha256"].map(groups)):
        known = names.notna().to_numpy()
        # Each image is linked to the first image of its group.
        links.append((rows[known], rows[known][_first(names[known])]))
    ends = [np.concatenate(side) for side in zip(*links, strict=True)]
    graph = coo_array((np.ones(len(ends[0]), bool), tuple(ends)), shape=(len(table), len(table)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _first(names: pd.Series) -> NDArray[np.int64]:
    _, first, place = np.unique(names.to_numpy(str), return_index=True, return_inverse=True)
    return first[place]


def _placed(table: pd.DataFrame, settings: Mapping[str, Any], few: set[str]) -> dict[int, str]:
    """Return the split of each group."""
    sizes = Counter(table["category"])
    shares = {name: Fraction(str(settings[name])) for name in SPLITS}
    used = [name for name in _NEEDED if shares[name] > 0]
    lacking = {(name, category): shares[name] * size for category, size in sizes.items() for name in SPLITS}
    waiting = Counter({category: rows["_group"].nunique() for category, rows in table.groupby("category")})
    empty = {category: set(used) for category in sizes if category not in few}
    members: dict[int, Counter[str]] = {}
    keys: dict[int, str] = {}
    # The table is sorted by content, so the first of a group is its smallest.
    for group, category, digest in zip(table["_group"], table["category"], table["sha256"], strict=True):
        members.setdefault(int(group), Counter())[category] += 1
        keys.setdefault(int(group), key(settings["seed"], digest))
    placed: dict[int, str] = {}
    for group in sorted(members, key=lambda group: (-members[group].total(), keys[group])):
        categories = members[group]
        choice = list(used)
        if any(category in few for category in categories):
            choice = ["train"]
        for category in categories:
            # If no more groups remain than splits without one, this group must go to one of these splits.
            if category in empty and waiting[category] <= len(empty[category]):
                choice = [name for name in choice if name in empty[category]] or choice
        name = max(choice, key=lambda name: sum(lacking[name, category] for category in categories))
        placed[group] = name
        for category, count in categories.items():
            lacking[name, category] -= count
            waiting[category] -= 1
            empty.get(category, set()).discard(name)
    return placed
