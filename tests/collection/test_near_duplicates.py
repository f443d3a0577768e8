import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cbir.collection import near_duplicates as module
from cbir.collection.columns import GROUP_COLUMNS
from cbir.collection.near_duplicates import doubts, groups
from cbir.collection.perceptual import HASH_COLUMNS, hashes
from cbir.files.errors import InputError
from scenes import COPIES, scene

DISTANCE = 72


def hashed(images: dict[str, Image.Image]) -> pd.DataFrame:
    rows = [[name, *vars(hashes(image)).values()] for name, image in images.items()]
    return pd.DataFrame(rows, columns=["sha256", *HASH_COLUMNS])


def found(table: pd.DataFrame, distance: int = DISTANCE) -> set[frozenset[str]]:
    return {frozenset(rows["sha256"]) for _, rows in groups(table, distance).groupby("group")}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found(kind: str) -> None:
    images = {f"{number:02}": scene(number) for number in range(12)}
    copies = {f"{number:02} copy": COPIES[kind](scene(number)) for number in range(6)}
    table = groups(hashed(images | copies), DISTANCE)
    assert list(table.columns) == GROUP_COLUMNS
    assert table["sha256"].tolist() == sorted([*copies, *list(images)[:6]])
    assert table["group"].tolist() == [name[:2] for name in table["sha256"]]
    assert table["nearest"].tolist() == [name[:2] if "copy" in name else f"{name} copy" for name in table["sha256"]]
    assert set(table["mirrored"]) == {int("mirrored" in kind)}
    assert table["distance"].between(0, DISTANCE).all()


def test_different_pictures_are_no_near_duplicates() -> None:
    assert found(hashed({str(number): scene(number) for number in range(60)})) == set()


def test_two_views_of_one_scene_are_no_near_duplicates() -> None:
    # The same two objects on the same background, moved by a fifth of the picture.
    def view(left: int) -> Image.Image:
        image = scene(1)
        image.paste(scene(2).resize((70, 70)), (left, 60))
        image.paste(scene(3).resize((50, 50)), (left + 40, 20))
        return image.crop((left // 2, 0, 160 + left // 2, 160))

    assert found(hashed({"one": view(10), "other": view(50)})) == set()


def test_uniform_and_small_pictures_are_not_compared() -> None:
    plain = {colour: Image.new("RGB", (200, 200), colour) for colour in ("navy", "blue", "white", "black")}
    small = {f"small {number}": scene(0).resize((60, 60)) for number in range(3)}
    assert found(hashed(plain | small)) == set()


def packed(bits: np.ndarray) -> str:
    return np.packbits(bits).tobytes().hex()


def by_hand(flips: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """Return hashes that differ from the first one in these numbers of bits of pHash and dHash, from bit 0 on."""
    random = np.random.default_rng(0)
    base = random.integers(0, 2, (2, 256))
    rows = []
    for name, counts in flips.items():
        bits = base.copy()
        for row, count in enumerate(counts):
            bits[row, :count] ^= 1
        # Mirror images that are far from everything.
        rows.append([name, *map(packed, bits), *map(packed, random.integers(0, 2, (2, 256)))])
    return pd.DataFrame(rows, columns=["sha256", *HASH_COLUMNS])


def test_distances_and_nearest_images_worked_by_hand() -> None:
    # From a to b 10 (of 10 and 3), from a to c 20, from b to c 17 (of 10 and 17), d 90 from all.
    table = groups(by_hand({"a": (0, 0), "b": (10, 3), "c": (20, 20), "d": (120, 120)}), 20)
    assert table.to_numpy().tolist() == [
        ["a", "a", "b", 10, 0, 0],
        ["b", "a", "a", 10, 0, 0],
        ["c", "a", "b", 17, 0, 0],
    ]


@pytest.mark.parametrize(("flips", "near"), [((20, 20), True), ((21, 0), False), ((0, 21), False)])
def test_both_hashes_must_be_near(flips: tuple[int, int], near: bool) -> None:
    assert bool(found(by_hand({"a": (0, 0), "b": flips}), 20)) is near


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        # Bits in which each image differs from the mirror image of the other: pHash and dHash. The smaller way counts,
        # and within it the larger hash.
        ((5, 9), (40, 0), (9, 1)),
        ((40, 0), (5, 9), (9, 1)),
        ((21, 0), (0, 21), None),
        ((20, 20), (21, 21), (20, 1)),
    ],
)
def test_mirrored_either_way(
    order: tuple[str, str], one: tuple[int, int], other: tuple[int, int], near: tuple[int, int] | None
) -> None:
    random = np.random.default_rng(3)
    bits = random.integers(0, 2, (2, 2, 256))
    mirrored = bits[::-1].copy()
    for image, counts in enumerate((other, one)):
        for kind, count in enumerate(counts):
            mirrored[image, kind, :count] ^= 1
    rows = [[name, *map(packed, bits[place]), *map(packed, mirrored[place])] for place, name in enumerate(order)]
    table = groups(pd.DataFrame(rows, columns=["sha256", *HASH_COLUMNS]), 20)
    expected = [["a", "a", "b", *near, 0], ["b", "a", "a", *near, 0]] if near else []
    assert table.to_numpy().tolist() == expected


def test_links_through_others_make_one_group() -> None:
    # Neighbours are 15 bits apart, the two ends 60.
    chain = {str(number): (15 * number, 0) for number in range(5)}
    assert found(by_hand(chain), 15) == {frozenset(chain)}
    assert found(by_hand(chain), 14) == set()


def test_groups_do_not_depend_on_blocks_or_the_order_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    table = hashed({f"{number:02}": scene(number % 20) for number in range(20)})
    copies = table.iloc[random.integers(0, 20, 15)].assign(sha256=[f"copy {number:02}" for number in range(15)])
    table = pd.concat([table, copies])
    whole = groups(table, DISTANCE)
    assert len(whole) > 15
    for block in (1, 3, 7):
        monkeypatch.setattr(module, "_BLOCK", block)
        pd.testing.assert_frame_equal(groups(table.iloc[random.permutation(len(table))], DISTANCE), whole)


def test_nothing_to_compare() -> None:
    assert groups(hashed({}), DISTANCE).empty
    assert groups(hashed({"a": scene(0)}), DISTANCE).empty


def test_damaged_hashes_are_reported() -> None:
    with pytest.raises(InputError, match=r"damaged: remove results/collection/hashes\.csv"):
        groups(hashed({"a": scene(0)}).assign(phash="xyz"), DISTANCE)


def test_only_confirmed_pairs_are_links_and_only_nearest_pairs_are_checked() -> None:
    # Twenty hashes that differ in a bit or two each, so that all are near to all.
    names = [f"{number:02}" for number in range(20)]
    table = pd.DataFrame([[name, *[f"{1 << int(name):064x}"] * 4] for name in names], columns=["sha256", *HASH_COLUMNS])
    assert len(groups(table, DISTANCE)) == 20
    checked: list[tuple[str, str, bool]] = []

    def confirm(pairs: list[tuple[str, str, bool]]) -> np.ndarray:
        checked.extend(pairs)
        return np.array([pair == ("00", "01", False) for pair in pairs])

    confirmed = groups(table, DISTANCE, confirm)
    assert confirmed[["sha256", "group", "nearest"]].to_numpy().tolist() == [["00", "00", "01"], ["01", "00", "00"]]
    assert len(checked) == len(set(checked)) <= 2 * module._NEAREST * 20 < 2 * 190
    assert groups(table, DISTANCE, lambda pairs: np.zeros(len(pairs), bool)).empty
    assert groups(table[:1], DISTANCE, confirm).empty


def test_if_all_pairs_are_confirmed_the_hashes_decide() -> None:
    images = {f"{number:02}": scene(number) for number in range(6)}
    copied = {f"{number:02} copy": COPIES["mirrored"](scene(number)) for number in range(3)}
    table = hashed(images | copied)
    every = groups(table, DISTANCE, lambda pairs: np.ones(len(pairs), bool))
    pd.testing.assert_frame_equal(every, groups(table, DISTANCE))


def doubted(flips: dict[str, tuple[int, int]], distance: int, categories: dict[str, str]) -> dict[str, str]:
    table = by_hand(flips)
    return doubts(groups(table, distance), table, categories, distance)


def test_a_chain_is_doubted_and_a_group_around_one_image_is_not() -> None:
    # From the middle of nine 4 x 15 bits to the ends, from the middle of three 15; 1.5 x 15 = 22.5.
    chain = {str(number): (15 * number, 0) for number in range(9)}
    alone = dict.fromkeys(chain, "a") | {str(number): "a" for number in range(10, 50)}
    assert doubted(chain, 15, alone) == {
        "0": "its images are linked by others, and each differs from another in 60 bits or more"
    }
    assert doubted(dict(list(chain.items())[:3]), 15, alone) == {}
    # Two copies may be further from each other than from the original: 0 and 30 bits, the original at 15.
    assert doubted({"a": (0, 0), "b": (15, 0), "c": (30, 0)}, 15, dict.fromkeys("abc", "")) == {}


@pytest.mark.parametrize(
    ("together", "others", "reason"),
    [
        (10, 19, "10 of 29 images of the category a are in it"),
        (10, 20, ""),
        (9, 0, ""),
    ],
)
def test_a_group_that_is_a_large_part_of_a_category_is_doubted(together: int, others: int, reason: str) -> None:
    names = [f"{number:02}" for number in range(together)]
    categories = dict.fromkeys(names, "a") | {f"other {number}": "a" for number in range(others)}
    # An additional copy in another category.
    found = doubted({name: (place % 3, 0) for place, name in enumerate([*names, "z"])}, 15, categories | {"z": "b"})
    assert found == ({"00": reason} if reason else {})
    unlabelled = doubted(dict.fromkeys(names, (0, 0)), 15, dict.fromkeys(categories, ""))
    assert unlabelled == ({"00": reason.replace("category a", "collection")} if reason else {})


def test_the_radius_of_mirrored_copies_does_not_depend_on_their_order() -> None:
    # Mirrored copies: the second is the mirror image of the first.
    table = by_hand({"a": (0, 0), "b": (9, 0)})
    table.loc[1, HASH_COLUMNS] = table.loc[1, [*HASH_COLUMNS[2:], *HASH_COLUMNS[:2]]].to_numpy()
    table = pd.concat([table, table.iloc[:1].assign(sha256="c")])
    linked = groups(table, 15)
    assert list(linked["sha256"]) == ["a", "b", "c"]
    assert doubts(linked, table, dict.fromkeys("abc", ""), 15) == {}
