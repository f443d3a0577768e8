"""Folders as categories or as parts of a split."""

import pytest

from cbir.collection.layout import are_parts, called_parts, likely_root, place, spellings


def names(*folders: str) -> list[str]:
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(2)]


@pytest.mark.parametrize(
    "folders",
    [
        ("train/cat", "train/dog", "val/cat", "test/cat"),
        ("Training/cat", "Testing/cat"),
        ("gallery/cat", "query/cat/deep"),
        # Test has other categories than train, as in benchmarks of unseen classes.
        ("train/a", "train/b", "test/c", "test/d"),
    ],
)
def test_parts_are_recognised(folders: tuple[str, ...]) -> None:
    assert are_parts(names(*folders))


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "bus", "car"),
        ("train", "test"),
        ("train/steam", "bus/red"),
        ("val/a", "test/a"),
        ("train/steam", "train/diesel"),
        # Categories of vehicles, one of which has a sub-folder by chance.
        ("train/steam", "test/tube"),
    ],
)
def test_categories_are_no_parts(folders: tuple[str, ...]) -> None:
    assert not are_parts(names(*folders))


def test_the_folder_of_categories_below() -> None:
    assert likely_root(names("images/cat", "images/dog")) == ("images", False)
    assert likely_root(names("a/b/train/cat", "a/b/test/cat")) == ("a/b", True)
    assert likely_root(names("cat")) == ("", False)
    assert likely_root(names("cat/2024")) == ("", False)
    # Images beside the folders: it may be a category that has sub-folders.
    assert likely_root([*names("cat/2023", "cat/2024"), "cat/1.jpg"]) == ("", False)


@pytest.mark.parametrize(
    ("folders", "parts"),
    [("train test", True), ("Training valid", True), ("train cat", False), ("val test", False), ("train", False)],
)
def test_names_of_parts(folders: str, parts: bool) -> None:
    assert called_parts(set(folders.split())) is parts


def test_places() -> None:
    assert place("cat/deep/1.jpg", "categories") == ("cat", "")
    assert place("1.jpg", "categories") == ("", "")
    assert place("Valid/cat/1.jpg", "parts") == ("cat", "val")
    assert place("train/1.jpg", "parts") == ("", "train")
    assert place("other/cat/1.jpg", "parts") == ("", "")


def test_spellings() -> None:
    alike = ["dog", "dog ", "dog\u200b", "\u202edog", "\uff44\uff4f\uff47"]
    assert spellings([*alike, "dogs"]) == [sorted(alike)]
    assert spellings(["dog", "Cat", "cat", "CAT", "a b", "A-b", "c++", "c"]) == [["A-b", "a b"], ["CAT", "Cat", "cat"]]
