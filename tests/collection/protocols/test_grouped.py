import hashlib

import numpy as np
import pandas as pd
import pytest

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.protocols import grouped
from cbir.files.errors import InputError

SETTINGS = {"train": 0.6, "val": 0.2, "test": 0.2, "seed": 0}


def table(groups: dict[str, list[str]]) -> pd.DataFrame:
    """Return a table of images with the category and the group of each."""
    rows = [
        [
            f"{category}/{number}.png",
            "in",
            category,
            label,
            hashlib.sha256(f"{label} {number}".encode()).hexdigest(),
            group,
        ]
        for label, (category, names) in enumerate(groups.items())
        for number, group in enumerate(names)
    ]
    return pd.DataFrame(rows, columns=[*SPLIT_COLUMNS, "group"])


def sizes(tables: dict[str, pd.DataFrame]) -> dict[str, int]:
    return {name: len(part) for name, part in tables.items()}


def test_shares_are_met_where_groups_allow_it() -> None:
    images = table({"a": [f"{number // 2}" for number in range(20)], "b": [""] * 10})
    tables = grouped.split(images, SETTINGS, {})
    assert {name: part["category"].value_counts().to_dict() for name, part in tables.items()} == {
        "train": {"a": 12, "b": 6},
        "val": {"a": 4, "b": 2},
        "test": {"a": 4, "b": 2},
    }
    shuffled = grouped.split(images.sample(frac=1, random_state=1), SETTINGS, {})
    assert all(part.equals(shuffled[name]) for name, part in tables.items())
    other = grouped.split(images, {**SETTINGS, "seed": 1}, {})
    assert not tables["test"].equals(other["test"])


def test_each_split_gets_one_of_three_large_groups() -> None:
    assert sizes(grouped.split(table({"a": ["x"] * 10 + ["y"] * 10 + ["z"] * 10}), SETTINGS, {})) == dict.fromkeys(
        SPLITS, 10
    )


def test_categories_of_few_groups() -> None:
    images = table({"a": ["x"] * 5 + ["y"] * 5, "b": [""] * 10})
    with pytest.raises(InputError, match="category 'a' has 2 groups of images, fewer than the split needs \\(3"):
        grouped.split(images, SETTINGS, {})
    assert sizes(grouped.split(images, {**SETTINGS, "small": "gallery"}, {})) == {"train": 16, "val": 2, "test": 2}
    assert sizes(grouped.split(images, {**SETTINGS, "small": "drop"}, {})) == {"train": 6, "val": 2, "test": 2}
    assert sizes(grouped.split(images, {**SETTINGS, "train": 0.8, "val": 0}, {}))["val"] == 0


@pytest.mark.slow
def test_no_group_crosses_splits_in_1000_random_collections() -> None:
    refused = 0
    for seed in range(1000):
        random = np.random.default_rng(seed)
        names = ["", *map(str, range(int(random.integers(3, 30))))]
        images = table({c: list(random.choice(names, random.integers(3, 30))) for c in "abc"[: random.integers(1, 4)]})
        copies = {digest: str(random.integers(0, 8)) for digest in images["sha256"] if random.random() < 0.1}
        try:
            tables = grouped.split(images, {**SETTINGS, "seed": seed}, copies)
        except InputError:
            refused += 1
            continue
        split_of = {digest: name for name, part in tables.items() for digest in part["sha256"]}
        assert set(split_of) == set(images["sha256"])
        met: dict[str, set[str]] = {}
        for digest, group, category in zip(images["sha256"], images["group"], images["category"], strict=True):
            met.setdefault(f"category {category}", set()).add(split_of[digest])
            if group:
                met.setdefault(f"group {group}", set()).add(split_of[digest])
            if digest in copies:
                met.setdefault(f"copies {copies[digest]}", set()).add(split_of[digest])
        for name, splits in met.items():
            assert len(splits) == (3 if name.startswith("category") else 1), (seed, name)
    assert refused < 600
