import pytest

from cbir.collection.protocols import k_fold
from cbir.files.errors import InputError
from collection.made import sha, table

SETTINGS = {"folds": 5, "seed": 0}


def test_each_category_is_divided_evenly() -> None:
    images = table({"a": 25, "b": 13, "c": 2})
    test = k_fold.split(images, SETTINGS, {})["test"]
    counts = test.groupby(["category", "fold"]).size().unstack(fill_value=0)
    assert counts.loc["a"].tolist() == [5] * 5
    assert sorted(counts.loc["b"]) == [2, 2, 3, 3, 3]
    assert sorted(counts.loc["c"]) == [0, 0, 0, 1, 1]
    assert test["image_id"].tolist() == images["image_id"].sort_values().tolist()
    shuffled = k_fold.split(images.sample(frac=1, random_state=1), SETTINGS, {})["test"]
    assert test.equals(shuffled)
    assert not test.equals(k_fold.split(images, {**SETTINGS, "seed": 1}, {})["test"])


def test_small_categories_are_spread_over_the_folds() -> None:
    test = k_fold.split(table({f"c{number}": 2 for number in range(60)}), SETTINGS, {})["test"]
    # The average of a fold is 24 images.
    assert test["fold"].value_counts().between(16, 32).all()


def test_one_more_image_moves_few_others() -> None:
    images = table({"a": 100, "b": 50})
    more = k_fold.split(images, SETTINGS, {})["test"].set_index("sha256")["fold"]
    fewer = k_fold.split(images.iloc[1:], SETTINGS, {})["test"].set_index("sha256")["fold"]
    # At most one image moves across each of the four boundaries within its category.
    assert (more[fewer.index] != fewer).sum() <= 4
    assert (more[fewer.index] != fewer)[images["sha256"][100:]].sum() == 0


def test_copies_are_in_one_fold() -> None:
    groups = {sha(place): f"{place % 7}" for place in range(0, 60, 2)}
    test = k_fold.split(table({"a": 40, "b": 40}), SETTINGS, groups)["test"]
    assert (test.groupby(test["sha256"].map(groups))["fold"].nunique() == 1).all()


def test_a_fold_without_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"[0-9]+ of 9 folds would have no image: lower split\.folds"):
        k_fold.split(table({"a": 3, "b": 3}), {**SETTINGS, "folds": 9}, {})
