import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.protocols import random
from cbir.files.errors import InputError
from collection.made import sha, table

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def split(
    images: pd.DataFrame, shares: dict[str, float], seed: int, groups: dict[str, str] | None = None
) -> dict[str, pd.DataFrame]:
    return random.split(images, {**shares, "seed": seed}, groups or {})


def places(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Return the split of each image by its SHA-256."""
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
    # Boundaries at 0.6 n and 0.8 n, rounded: n = 7 gives 4.2 and 5.6; n = 4 gives 2.4 and 3.2; n = 3 gives 1.8 and 2.4,
    # moved so that each split has one.
    [(3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (7, (4, 2, 1)), (10, (6, 2, 2)), (100, (60, 20, 20))],
)
def test_sizes(count: int, sizes: tuple[int, ...]) -> None:
    tables = split(table({"a": count}), SHARES, 0)
    assert tuple(len(tables[name]) for name in SPLITS) == sizes


def test_sizes_without_val() -> None:
    tables = split(table({"a": 7}), {"train": 0.75, "val": 0, "test": 0.25}, 0)
    # 5.25 is rounded to 5.
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
def test_an_image_more_or_less_moves_at_most_one_image_across_each_boundary(
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


def test_sizes_of_splits_change_by_at_most_one_for_one_image_more() -> None:
    sizes = [[len(part) for part in split(table({"a": count}), SHARES, 0).values()] for count in range(3, 60)]
    assert all(np.abs(np.subtract(less, more)).max() <= 1 for less, more in pairwise(sizes))


@given(order=st.permutations(range(20)))
@settings(max_examples=8, deadline=None)
def test_the_split_does_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    whole = table({"a": 12, "b": 8})
    for name, part in split(whole.iloc[order], SHARES, 0).items():
        pd.testing.assert_frame_equal(part, split(whole, SHARES, 0)[name])


def test_the_split_depends_on_the_seed_and_not_on_names() -> None:
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
def test_invalid_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"split\.train, split\.val and split\.test must sum to 1"):
        split(table({"a": 9}), dict(zip(SPLITS, shares, strict=True)), 0)


def in_groups(*groups: list[int]) -> dict[str, str]:
    """Return the group of each image by SHA-256; the images are those of `table` in its order."""
    return {sha(number): f"group {place}" for place, members in enumerate(groups) for number in members}


def sizes(tables: dict[str, pd.DataFrame], category: str) -> list[int]:
    return [int((tables[name]["category"] == category).sum()) for name in SPLITS]


def test_groups_are_in_one_split_and_sizes_are_kept_for_200_seeds() -> None:
    # a has the rows 0 to 29, b 30 to 49, c 50 to 59. One pair and one trio inside a, one pair from a to b, and one
    # group of all three.
    images = table({"a": 30, "b": 20, "c": 10})
    pairs = ([0, 1], [2, 3, 4], [5, 30], [6, 7, 31, 50])
    sides: Counter[str] = Counter()
    for seed in range(200):
        tables = split(images, SHARES, seed, in_groups(*pairs))
        found = places(tables)
        for members in pairs:
            assert len({found[sha(number)] for number in members}) == 1
        assert [sizes(tables, name) for name in "abc"] == [[18, 6, 6], [12, 4, 4], [6, 2, 2]]
        sides[found[sha(0)]] += 1
    # A group is in the split in which one of its images would be alone: 60, 20 and 20 % of the seeds, within 4 standard
    # deviations of a binomial count.
    assert 92 <= sides["train"] <= 148
    assert all(17 <= sides[name] <= 63 for name in ("val", "test"))


def test_groups_of_one_image_do_not_change_the_split() -> None:
    images = table({"a": 30, "b": 20})
    for seed in range(20):
        assert places(split(images, SHARES, seed, {})) == places(split(images, SHARES, seed))
        # A group of one image has no effect.
        assert places(split(images, SHARES, seed, in_groups([4]))) == places(split(images, SHARES, seed))


def test_groups_move_only_images_that_make_room_for_them() -> None:
    images = table({"a": 50, "b": 50})
    for seed in range(50):
        before = places(split(images, SHARES, seed))
        after = places(split(images, SHARES, seed, in_groups([0, 1], [2, 3])))
        moved = [number for number in range(100) if before[sha(number)] != after[sha(number)]]
        # Of each pair one image stays; the other may move, and at most two more for it (across two borders).
        assert len(moved) <= 6
        assert all(number < 50 for number in moved)
        if before[sha(0)] == before[sha(1)] and before[sha(2)] == before[sha(3)]:
            assert moved == []


def test_a_group_is_in_the_split_of_its_image_with_the_smallest_hash() -> None:
    images = table({"a": 50})
    members = [0, 1, 2]
    first = min(map(sha, members))
    for seed in range(30):
        assert (
            places(split(images, SHARES, seed, in_groups(members)))[first] == places(split(images, SHARES, seed))[first]
        )


@pytest.mark.parametrize(
    ("group", "expected"),
    # 100 images. 21 to 60 fit into train only; if 80 are train, the other 20 are divided equally; 98 leave one
    # image for each of the others; 99 leave too few, and the split is that of single images.
    [
        (21, [60, 20, 20]),
        (60, [60, 20, 20]),
        (80, [80, 10, 10]),
        (98, [98, 1, 1]),
        (99, [60, 20, 20]),
        (100, [60, 20, 20]),
    ],
)
def test_a_group_larger_than_a_share(group: int, expected: list[int]) -> None:
    images = table({"a": 100, "b": 10})
    for seed in range(10):
        tables = split(images, SHARES, seed, in_groups(list(range(group))))
        assert [len(tables[name]) for name in SPLITS] == [
            size + more for size, more in zip(expected, (6, 2, 2), strict=True)
        ]
        sides = {places(tables)[sha(number)] for number in range(group)}
        assert sides == ({"train"} if group < 99 else set(SPLITS))


def test_a_group_that_would_leave_a_category_without_test_images_is_not_kept_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # b has three images, one for each split; two of them cannot be in one split with an image of a.
    images = table({"a": 20, "b": 3})
    tables = split(images, SHARES, 0, in_groups([0, 20, 21], [1, 2]))
    assert sizes(tables, "b") == [1, 1, 1]
    assert len({places(tables)[sha(number)] for number in (1, 2)}) == 1
    assert "A group of 3 near-duplicates is not kept in one split" in caplog.text


@given(
    order=st.permutations(range(20)),
    groups=st.lists(st.sets(st.integers(0, 19), min_size=2, max_size=5), max_size=4),
    seed=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_the_split_of_groups_does_not_depend_on_the_order_of_rows(
    order: list[int], groups: list[set[int]], seed: int
) -> None:
    images = table({"a": 12, "b": 8})
    named = in_groups(*map(sorted, groups))
    tables = split(images, SHARES, seed, named)
    for name, part in split(images.iloc[order], SHARES, seed, dict(reversed(named.items()))).items():
        pd.testing.assert_frame_equal(part, tables[name])
    assert sorted(digest for part in tables.values() for digest in part["sha256"]) == sorted(images["sha256"])
    assert all(size > 0 for category in "ab" for size in sizes(tables, category))


def test_an_additional_image_moves_few_others_with_groups() -> None:
    images = table({"a": 61, "b": 20})
    named = in_groups([0, 1, 2], [3, 4], [5, 61])
    counts = []
    for seed in range(30):
        before = places(split(images.drop(60), SHARES, seed, named))
        # The new image has no group, or joins the pair 3 and 4.
        for more in ({}, {sha(60): named[sha(3)]}):
            after = places(split(images, SHARES, seed, named | more))
            counts.append(sum(before[digest] != after[digest] for digest in before))
    # Two images move across the boundaries; rarely a group moves with one, and as many other images replace it.
    assert np.mean(counts) <= 2
    assert max(counts) <= 8


TAIL = {"a": 10, "b": 10, "one": 1, "two": 2}


def test_all_categories_that_are_too_small_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"2 of 4 categories .*'one' has 1, 'two' has 2: .*split\.small"):
        split(table(TAIL), SHARES, 0)


def test_small_categories_are_in_the_gallery_and_not_queries() -> None:
    tables = random.split(table(TAIL), {**SHARES, "seed": 0, "small": "gallery"}, {})
    assert tables["train"]["category"].value_counts().to_dict() == {"a": 6, "b": 6, "one": 1, "two": 2}
    assert set(tables["val"]["category"]) == set(tables["test"]["category"]) == {"a", "b"}
    # A copy of one of their images is in the same split.
    images = table(TAIL)
    several = images[images["category"].isin(["one", "a"])]["sha256"].iloc[[0, 1, -1]]
    for seed in range(20):
        tables = random.split(images, {**SHARES, "seed": seed, "small": "gallery"}, dict.fromkeys(several, "g"))
        assert set(several) <= set(tables["train"]["sha256"])


def test_small_categories_may_be_dropped() -> None:
    tables = random.split(table(TAIL), {**SHARES, "seed": 0, "small": "drop"}, {})
    alone = random.split(table({"a": 10, "b": 10}), {**SHARES, "seed": 0}, {})
    assert {name: list(part["image_id"]) for name, part in tables.items()} == {
        name: list(part["image_id"]) for name, part in alone.items()
    }
    for small in ("drop", "gallery"):
        with pytest.raises(InputError, match="No category has the 3 usable images"):
            random.split(table({"one": 1}), {**SHARES, "seed": 0, "small": small}, {})


@pytest.mark.slow
def test_no_near_duplicate_crosses_splits_in_1000_random_collections_without_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warned: list[int] = []
    monkeypatch.setattr(random.log, "warning", lambda message, size, category: warned.append(size))
    for seed in range(1000):
        draw = np.random.default_rng(seed)
        images = table({c: int(draw.integers(3, 12)) for c in "ab"[: draw.integers(1, 3)]})
        names = draw.integers(0, 9, len(images))
        groups = {digest: str(name) for digest, name in zip(images["sha256"], names, strict=True) if name < 3}
        warned.clear()
        found = places(split(images, SHARES, seed, groups))
        assert set(found) == set(images["sha256"])
        sides: dict[str, set[str]] = {}
        for digest, name in groups.items():
            sides.setdefault(name, set()).add(found[digest])
        divided = [name for name, splits in sides.items() if len(splits) > 1]
        # A group that need not be kept in one split may be in one by chance.
        sizes = Counter(groups.values())
        assert not Counter(sizes[name] for name in divided) - Counter(warned), seed
