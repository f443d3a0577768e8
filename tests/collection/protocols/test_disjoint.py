import logging

import numpy as np
import pytest

from cbir.collection.columns import SPLITS
from cbir.collection.protocols import disjoint
from cbir.files.errors import InputError
from collection.made import sha, table

SETTINGS = {"train": 0.6, "val": 0.2, "test": 0.2, "seed": 0}


def test_categories_are_divided_and_those_of_train_into_train_and_val() -> None:
    images = table({f"c{number}": 8 for number in range(10)})
    tables = disjoint.split(images, SETTINGS, {})
    # 0.2 of ten categories are test; of 8 images of each other one 6 are train and 2 val, as 0.6 and 0.2.
    assert {name: part["category"].nunique() for name, part in tables.items()} == {"train": 8, "val": 8, "test": 2}
    assert {name: len(part) for name, part in tables.items()} == {"train": 48, "val": 16, "test": 16}
    assert not set(tables["train"]["category"]) & set(tables["test"]["category"])
    assert tables["test"]["fold"].tolist() == list(range(1, 17))
    shuffled = disjoint.split(images.sample(frac=1, random_state=1), SETTINGS, {})
    assert all(part.equals(shuffled[name]) for name, part in tables.items())
    assert not tables["test"].equals(disjoint.split(images, {**SETTINGS, "seed": 1}, {})["test"])


def test_shares_of_one_half_without_val_as_in_cub_200() -> None:
    images = table({f"c{number}": 4 for number in range(7)})
    tables = disjoint.split(images, {**SETTINGS, "train": 0.5, "val": 0, "test": 0.5}, {})
    assert {name: part["category"].nunique() for name, part in tables.items()} == {"train": 3, "val": 0, "test": 4}


@pytest.mark.parametrize("share", [0.01, 0.98])
def test_train_and_test_have_two_categories_or_more(share: float) -> None:
    images = table({f"c{number}": 4 for number in range(5)})
    settings = {**SETTINGS, "test": share, "train": 0.99 - share, "val": 0.01}
    tables = disjoint.split(images, settings, {})
    assert min(part["category"].nunique() for name, part in tables.items() if name != "val") == 2
    with pytest.raises(InputError, match="at least 2 each, but only 3 have two images or more"):
        disjoint.split(images[images["category"] < "c3"], settings, {})


def test_small_categories_are_never_test() -> None:
    images = table({**{f"c{number}": 4 for number in range(4)}, "one": 1})
    with pytest.raises(InputError, match="'one' has 1 usable image"):
        disjoint.split(images, SETTINGS, {})
    for seed in range(10):
        tables = disjoint.split(images, {**SETTINGS, "seed": seed, "small": "gallery"}, {})
        assert "one" in set(tables["train"]["category"])
    dropped = disjoint.split(images, {**SETTINGS, "small": "drop"}, {})
    assert all("one" not in set(part["category"]) for part in dropped.values())


def test_copies_of_test_images_are_left_out_of_train(caplog: pytest.LogCaptureFixture) -> None:
    images = table({f"c{number}": 4 for number in range(4)})
    tested = set(disjoint.split(images, SETTINGS, {})["test"]["category"])
    copied, other = images[images["category"].isin(tested)], images[~images["category"].isin(tested)]
    groups = dict.fromkeys((*copied["sha256"].head(2), other["sha256"].iloc[0]), "x")
    with caplog.at_level(logging.WARNING, "cbir"):
        tables = disjoint.split(images, SETTINGS, groups)
    assert (
        f"1 images of train categories are in no split, because test has copies of them: {other['image_id'].iloc[0]}"
        in caplog.text
    )
    assert sum(map(len, tables.values())) == 15
    folds = tables["test"].set_index("sha256")["fold"]
    assert folds[copied["sha256"].iloc[0]] == folds[copied["sha256"].iloc[1]]


def test_no_category_and_no_copy_crosses_in_40_random_collections() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        images = table({f"c{number}": int(rng.integers(1, 9)) for number in range(int(rng.integers(6, 12)))})
        images = images.sample(frac=1, random_state=int(rng.integers(1000)))
        groups = {sha(place): f"{rng.integers(12)}" for place in range(len(images)) if rng.random() < 0.3}
        tables = disjoint.split(images, {**SETTINGS, "seed": int(rng.integers(100)), "small": "gallery"}, groups)
        sides = [set(tables["train"]["category"]) | set(tables["val"]["category"]), set(tables["test"]["category"])]
        assert not sides[0] & sides[1]
        of = {digest: "test" if name == "test" else "seen" for name in SPLITS for digest in tables[name]["sha256"]}
        shown = {(groups[digest], side) for digest, side in of.items() if digest in groups}
        assert len({group for group, _ in shown}) == len(shown)
