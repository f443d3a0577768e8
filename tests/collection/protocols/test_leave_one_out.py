import pandas as pd
import pytest

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.collection.protocols import leave_one_out
from cbir.files.errors import InputError
from collection.made import sha, table


def test_every_image_is_a_query_and_a_fold() -> None:
    images = table({"a": 3, "b": 2})
    tables = leave_one_out.split(images.sample(frac=1, random_state=1), {}, {})
    assert tables["test"].equals(images.assign(fold=range(1, 6))[[*SPLIT_COLUMNS, "fold"]])
    assert [list(tables[name]) for name in ("train", "val")] == [SPLIT_COLUMNS] * 2
    assert tables["train"].empty and tables["val"].empty


def test_near_duplicates_are_in_the_same_fold() -> None:
    tables = leave_one_out.split(table({"a": 3, "b": 2}), {}, {sha(0): "x", sha(2): "x", sha(4): "x"})
    assert tables["test"]["fold"].tolist() == [1, 2, 1, 3, 1]


@pytest.mark.parametrize(("small", "names"), [("gallery", ["a", "a", "b"]), ("drop", ["a", "a"])])
def test_a_category_of_one_image(small: str, names: list[str]) -> None:
    images = table({"a": 2, "b": 1})
    assert leave_one_out.split(images, {"small": small}, {})["test"]["category"].tolist() == names
    with pytest.raises(InputError, match="'b' has 1 usable image, fewer than the split needs \\(2"):
        leave_one_out.split(images, {"small": "refuse"}, {})


def test_only_categories_of_one_image_are_refused() -> None:
    images: pd.DataFrame = table({"a": 1, "b": 1})
    with pytest.raises(InputError, match="No category has the 2 usable images"):
        leave_one_out.split(images, {"small": "gallery"}, {})
