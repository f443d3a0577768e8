import hashlib

import pandas as pd
import pytest

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.collection.protocols import given
from cbir.files.errors import InputError

IMAGES = pd.DataFrame(
    [
        [
            f"{category}/{number}.png",
            "in",
            category,
            label,
            hashlib.sha256(f"{label}{number}".encode()).hexdigest(),
            split,
        ]
        for label, category in enumerate(("a", "b"))
        for number, split in enumerate(("train", "train", "val", "test", ""))
    ],
    columns=[*SPLIT_COLUMNS, "split"],
)


def test_each_image_is_in_the_split_that_its_column_names() -> None:
    tables = given.split(IMAGES.sample(frac=1, random_state=0), {}, {})
    assert {name: list(table["image_id"]) for name, table in tables.items()} == {
        "train": ["a/0.png", "a/1.png", "b/0.png", "b/1.png"],
        "val": ["a/2.png", "b/2.png"],
        "test": ["a/3.png", "b/3.png"],
    }
    assert all(list(table.columns) == SPLIT_COLUMNS for table in tables.values())


def test_copies_in_several_parts_and_unknown_categories_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    digests = list(IMAGES["sha256"])
    given.split(IMAGES, {}, dict.fromkeys(digests[:2], "x") | dict.fromkeys(digests[2:4], "y"))
    assert [message.split(" are ")[0] for message in caplog.messages] == ["1 groups of near-duplicates"]
    caplog.clear()
    given.split(IMAGES[(IMAGES["category"] == "a") | (IMAGES["split"] == "test")], {}, {})
    assert caplog.messages == ["1 categories of test have no image in train: b"]


def test_a_missing_or_incomplete_split_is_refused() -> None:
    with pytest.raises(InputError, match=r"names no split: set split\.from to folders"):
        given.split(IMAGES.drop(columns="split"), {}, {})
    for name in ("train", "test"):
        with pytest.raises(InputError, match=f"no usable image for {name}"):
            given.split(IMAGES[IMAGES["split"] != name], {}, {})
    assert given.split(IMAGES[IMAGES["split"] != "val"], {}, {})["val"].empty
