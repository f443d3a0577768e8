"""Corrections of a collection: the file, and the effect on images."""

from pathlib import Path

import pytest

from cbir.collection import corrections
from cbir.collection.manifest import collect, require_categories
from cbir.files.errors import InputError
from cbir.files.tables import write_text

HEAD = "image_id,verdict,category\n"


def move(category: str) -> dict[str, str]:
    return {"verdict": "move", "category": category}


OUT = {"verdict": "exclude", "category": ""}


def test_written_corrections_are_read_back_sorted(tmp_path: Path) -> None:
    path = tmp_path / "a" / "corrections.csv"
    made = {"sea/2.png": OUT, 'apple/"1, x".png': move("leaf"), "sea/1.png": {"verdict": "right", "category": ""}}
    corrections.write(path, made)
    assert corrections.read(path) == dict(sorted(made.items()))
    assert corrections.read(tmp_path / "none.csv") == {}
    # Users may add columns, and spreadsheets write a byte order mark.
    write_text(path, "\ufeffnote,image_id,verdict,category\nlooked at,sea/2.png,exclude,\n")
    assert corrections.read(path) == {"sea/2.png": OUT}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,verdict\n", "lacks the column 'category'"),
        (f"{HEAD}a/1.png,gone,\n", "line 2: the verdict 'gone'"),
        (f"{HEAD}a/1.png,move,\n", "line 2: the category is empty"),
        (f"{HEAD}a/1.png,move,b/c\n", "line 2: 'b/c' cannot name a category"),
        (f"{HEAD}a/1.png,move,.b\n", "cannot name a category"),
        (f"{HEAD},right,\n", "line 2: the image_id is empty"),
        (f"{HEAD}a/1.png,right,\na/1.png,exclude,\n", "line 3: 'a/1.png' is there twice"),
        (f"{HEAD}a/1.png,right\n", "another number of cells"),
    ],
)
def test_an_invalid_row_is_refused_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    write_text(tmp_path / "corrections.csv", text)
    with pytest.raises(InputError, match=message):
        corrections.read(tmp_path / "corrections.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="are no file"):
        corrections.read(tmp_path / "folder.csv")


def test_an_image_may_be_given_several_categories() -> None:
    assert corrections.category_problem("bird / water") == corrections.category_problem("a b") == ""
    for name in ("", "a/b", " a", "bird / ", "bird / .x", "a\n", "x" * 201):
        assert corrections.category_problem(name)


def test_images_are_moved_and_excluded_and_their_files_stay(collection: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in collection.rglob("*.png")}
    plain = collect(collection, tmp_path / "memory")
    made = {
        "apple/1.png": move("leaf"),
        "apple/2.png": OUT,
        "apple/3.png": {"verdict": "right", "category": ""},
        "apple/nowhere.png": OUT,
    }
    images, rejected, _, notes, _ = collect(collection, tmp_path / "memory", corrections=made)
    category = dict(zip(images["image_id"], images["category"], strict=True))
    assert category["apple/1.png"] == "leaf" and category["apple/3.png"] == "apple"
    assert set(plain.images["image_id"]) - set(category) == {"apple/2.png"}
    assert rejected.values.tolist() == [[str(collection / "apple" / "2.png"), "excluded by the corrections"]]
    assert notes.values.tolist() == [
        [str(collection / "apple" / "1.png"), "category corrected: its folder or list says apple"]
    ]
    # Labels number the corrected categories and not the folders.
    assert images.loc[images["image_id"] == "apple/1.png", "label"].item() == 1
    assert {path: path.read_bytes() for path in collection.rglob("*.png")} == before


def test_a_move_resolves_a_conflict_of_two_categories(collection: Path, tmp_path: Path) -> None:
    (collection / "leaf" / "copy.png").write_bytes((collection / "apple" / "0.png").read_bytes())
    plain = collect(collection, tmp_path / "memory")
    assert {"apple/0.png", "leaf/copy.png"}.isdisjoint(plain.images["image_id"])
    found = collect(collection, tmp_path / "memory", corrections={"leaf/copy.png": move("apple")})
    assert "apple/0.png" in set(found.images["image_id"])
    assert found.rejected["reason"].tolist() == ["duplicate of apple/0.png"]


def test_a_move_gives_a_file_outside_all_folders_a_category(collection: Path, tmp_path: Path) -> None:
    (collection / "apple" / "0.png").rename(collection / "stray.png")
    assert "not in a category folder" in collect(collection, tmp_path / "memory").rejected["reason"].tolist()
    found = collect(collection, tmp_path / "memory", corrections={"stray.png": move("apple")})
    assert dict(zip(found.images["image_id"], found.images["category"], strict=True))["stray.png"] == "apple"


def test_a_folder_whose_images_were_all_moved_is_no_empty_category(collection: Path, tmp_path: Path) -> None:
    made = {f"sea/{number}.png": move("leaf") for number in range(6)}
    found = collect(collection, tmp_path / "memory", corrections=made)
    require_categories(collection, found, "rejected.csv", corrections=made)
    (collection / "empty").mkdir()
    (collection / "empty" / "notes.txt").write_text("no image")
    found = collect(collection, tmp_path / "memory", corrections=made)
    with pytest.raises(InputError, match="empty hold"):
        require_categories(collection, found, "rejected.csv", corrections=made)


def test_corrections_apply_to_a_manifest_too(collection: Path, tmp_path: Path) -> None:
    rows = {f"apple/{number}.png": {"category": "a" if number < 3 else "b"} for number in range(6)}
    found = collect(collection, tmp_path / "memory", rows=rows, corrections={"apple/0.png": move("b")})
    assert found.images["category"].tolist() == ["b", "a", "a", "b", "b", "b"]
    assert rows["apple/0.png"] == {"category": "a"}
