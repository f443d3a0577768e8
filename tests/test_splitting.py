import hashlib
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.errors import InputError
from cbir.splitting import SPLIT_COLUMNS, SPLITS, split

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def table(counts: dict[str, int]) -> pd.DataFrame:
    names = [(category, number) for category, count in counts.items() for number in range(count)]
    return pd.DataFrame(
        {
            "image_id": [f"{category}/{number}.png" for category, number in names],
            "path": [f"in/{category}/{number}.png" for category, number in names],
            "category": [category for category, _ in names],
            "label": [sorted(counts).index(category) for category, _ in names],
            "sha256": [sha(place) for place in range(len(names))],
        }
    )


def places(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """The split of each content."""
    return {digest: name for name in SPLITS for digest in tables[name]["sha256"]}


def test_golden_split_of_twenty_images() -> None:
    tables = split(table({"a": 10, "b": 10}), SHARES, 0)
    # In a shell, for i from 0 to 9: echo $(printf 0:$(printf $i | sha256sum | cut -c-64) | sha256sum) $i
    # Sorted, these lines end in 8 9 5 4 6 2, 3 0, 7 1; and for 10 to 19 in 18 17 16 13 19 10, 12 11, 14 15.
    golden = {"train": "a2 a4 a5 a6 a8 a9 b0 b3 b6 b7 b8 b9", "val": "a0 a3 b1 b2", "test": "a1 a7 b4 b5"}
    for name, images in golden.items():
        assert tables[name]["image_id"].tolist() == [f"{image[0]}/{image[1]}.png" for image in images.split()]


def test_golden_split_follows_from_the_definition() -> None:
    found = places(split(table({"a": 10, "b": 10}), SHARES, 7))
    for numbers in (range(10), range(10, 20)):
        order = sorted((sha(number) for number in numbers), key=lambda d: hashlib.sha256(b"7:" + d.encode()).digest())
        assert [found[digest] for digest in order] == ["train"] * 6 + ["val"] * 2 + ["test"] * 2


def test_columns_and_order_of_rows() -> None:
    tables = split(table({"b": 11, "a": 9}), SHARES, 0)
    for part in tables.values():
        assert list(part.columns) == SPLIT_COLUMNS
        assert part["image_id"].tolist() == sorted(part["image_id"])
        assert part.index.tolist() == list(range(len(part)))
    assert sum(map(len, tables.values())) == len(places(tables)) == 20


@pytest.mark.parametrize(
    ("count", "sizes"),
    # Borders at 0.6 n and 0.8 n, rounded: n = 7 gives 4.2 and 5.6; n = 4 gives 2.4 and 3.2; n = 3 gives 1.8 and 2.4,
    # moved so that each split has one.
    [(3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (7, (4, 2, 1)), (10, (6, 2, 2)), (100, (60, 20, 20))],
)
def test_sizes(count: int, sizes: tuple[int, ...]) -> None:
    tables = split(table({"a": count}), SHARES, 0)
    assert tuple(len(tables[name]) for name in SPLITS) == sizes


def test_sizes_without_val() -> None:
    tables = split(table({"a": 7}), {"train": 0.75, "val": 0, "test": 0.25}, 0)
    # 5.25 is 5.
    assert [len(tables[name]) for name in SPLITS] == [5, 0, 2]
    assert list(tables["val"].columns) == SPLIT_COLUMNS
    assert [len(part) for part in split(table({"a": 2}), {"train": 0.9, "val": 0, "test": 0.1}, 0).values()] == [
        1,
        0,
        1,
    ]


@given(
    count=st.integers(4, 40),
    gone=st.integers(0, 39),
    seed=st.integers(0, 3),
    shares=st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.25, 0.25), (0.98, 0.01, 0.01), (0.34, 0.33, 0.33), (0.7, 0, 0.3)]),
)
@settings(max_examples=60, deadline=None)
def test_one_image_more_or_less_moves_at_most_one_across_each_border(
    count: int, gone: int, seed: int, shares: tuple[float, ...]
) -> None:
    named = dict(zip(SPLITS, shares, strict=True))
    whole = table({"a": count, "b": 5})
    after = places(split(whole.drop(gone % count), named, seed))
    before = places(split(whole, named, seed))
    moved = [digest for digest in after if after[digest] != before[digest]]
    assert len(moved) <= 2
    assert all(whole.set_index("sha256").loc[digest, "category"] == "a" for digest in moved)
    borders = {frozenset({before[digest], after[digest]}) for digest in moved}
    assert len(borders) == len(moved)


def test_sizes_never_jump() -> None:
    sizes = [[len(part) for part in split(table({"a": count}), SHARES, 0).values()] for count in range(3, 60)]
    assert all(np.abs(np.subtract(less, more)).max() <= 1 for less, more in pairwise(sizes))


@given(order=st.permutations(range(20)))
@settings(max_examples=8, deadline=None)
def test_the_order_of_rows_plays_no_part(order: list[int]) -> None:
    whole = table({"a": 12, "b": 8})
    for name, part in split(whole.iloc[order], SHARES, 0).items():
        pd.testing.assert_frame_equal(part, split(whole, SHARES, 0)[name])


def test_names_play_no_part_and_seeds_do() -> None:
    whole = table({"a": 30})
    renamed = whole.assign(image_id=whole["image_id"].str[::-1], path="elsewhere")
    assert places(split(renamed, SHARES, 0)) == places(split(whole, SHARES, 0))
    assert places(split(whole, SHARES, 1)) != places(split(whole, SHARES, 0))


@pytest.mark.parametrize(("count", "shares"), [(2, (0.6, 0.2, 0.2)), (1, (0.6, 0.2, 0.2)), (1, (0.6, 0, 0.4))])
def test_a_category_too_small_is_named(count: int, shares: tuple[float, ...]) -> None:
    needed = 3 if shares[1] else 2
    with pytest.raises(
        InputError, match=f"'few' has {count} usable images?, fewer than the split needs \\({needed} or"
    ):
        split(table({"few": count, "many": 9}), dict(zip(SPLITS, shares, strict=True)), 0)


@pytest.mark.parametrize("shares", [(0.6, 0.2, 0.3), (0.8, 0.2, 0), (0, 0.5, 0.5), (0.6, -0.2, 0.6)])
def test_shares_that_are_none(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"split\.train, split\.val and split\.test must sum to 1"):
        split(table({"a": 9}), dict(zip(SPLITS, shares, strict=True)), 0)
