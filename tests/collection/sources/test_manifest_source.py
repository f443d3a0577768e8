"""Manifests: lists of images in CSV and Parquet files."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from cbir.collection.manifest import collect, require_categories
from cbir.collection.sources import manifest
from cbir.files.errors import InputError
from conftest import picture, write_collection


def written(folder: Path, text: str, **options: str) -> Path:
    (folder / "list.csv").write_text(text, **{"encoding": "utf-8", **options})
    return folder / "list.csv"


def test_a_manifest_is_read_with_its_columns(tmp_path: Path) -> None:
    for separator in ",;\t":
        text = "path,category,split,group,camera\nb/2.jpg, dog ,Query,rex,Canon\na\\1.jpg,cat,gallery,,\n"
        text += "./c.jpg,,ignore,,\n"
        rows = manifest.read(written(tmp_path, text.replace(",", separator), encoding="utf-8-sig"))
        assert list(rows) == ["a/1.jpg", "b/2.jpg", "c.jpg"]
        assert rows["a/1.jpg"] == {"category": "cat", "split": "train", "group": "", "camera": ""}
        assert rows["b/2.jpg"] == {"category": "dog", "split": "test", "group": "rex", "camera": "Canon"}
        assert rows["c.jpg"]["split"] == "ignore"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'path'"),
        ("file,category\n", "no column 'path', but file, category"),
        ("path,label\n", "no column 'category'"),
        ("path,category,sha256\n", "column 'sha256' that is not admitted"),
        ("path,category,a,a\n", "column 'a' that is not admitted or there twice"),
        ("path,category\n../x.jpg,cat\n", "line 2: the path '../x.jpg' is empty or leads out"),
        ("path,category\n/etc/passwd,cat\n", "leads out"),
        ("path,category\nC:\\x.jpg,cat\n", "leads out"),
        ("path,category\n,cat\n", "is empty or leads out"),
        ("path,category\na.jpg,cat\n\n./a.jpg,dog\n", "line 4: 'a.jpg' is listed twice"),
        ("path,category\na.jpg,\n", "'a.jpg' has no category"),
        ("path,category,split\na.jpg,cat,holdout\n", "split 'holdout' is not one of train, val, test and ignore"),
        ("path,category\na.jpg\n", "line 2: the row has another number of cells"),
        ("path,category\na.jpg,cat,x\n", "another number of cells"),
        ('path,category\n"a.jpg,cat\n', "not a readable CSV"),
    ],
)
def test_an_invalid_row_or_column_is_an_input_error(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        manifest.read(written(tmp_path, text))
    assert sentence in str(error.value)


def test_a_file_that_is_not_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list\.csv does not exist: set collection\.path to a CSV or Parquet file"):
        manifest.require({"path": str(tmp_path / "list.csv")})
    with pytest.raises(InputError, match="is not a file"):
        manifest.require({"path": str(tmp_path)})
    (tmp_path / "list.csv").write_bytes(b"path,category\n\xff,cat\n")
    with pytest.raises(InputError, match="not a readable CSV file in UTF-8"):
        manifest.read(tmp_path / "list.csv")


def test_a_manifest_and_folders_with_the_same_categories_give_the_same_images(collection: Path, tmp_path: Path) -> None:
    plain = collect(collection, tmp_path / "m1")
    lines = "".join(f"{name},{name.split('/')[0]}\n" for name in reversed(list(plain.images["image_id"])))
    rows = manifest.read(written(collection, f"path,category\n{lines}"))
    listed = collect(collection, tmp_path / "m2", rows=rows)
    for one, other in zip(plain[:4], listed[:4], strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert plain.ranges == listed.ranges


def test_a_manifest_decides_categories_splits_and_ignored_images(collection: Path, tmp_path: Path) -> None:
    picture(3, 50).save(collection / "loose.png")
    text = "path,category,split,group\nloose.png,red,train,g\nsea/0.png,blue,test,\n"
    text += "sea/1.png,blue,ignore,\ngone.png,red,val,\n"
    settings = {"path": str(written(collection, text)), "exclude": []}
    rows = manifest.read(settings["path"])
    found = collect(collection, tmp_path / "memory", rows=rows)
    assert found.images[["image_id", "category", "label", "split", "group"]].to_numpy().tolist() == [
        ["loose.png", "red", 1, "train", "g"],
        ["sea/0.png", "blue", 0, "test", ""],
    ]
    assert found.rejected.to_numpy().tolist() == [
        [str(collection / "gone.png"), "does not exist"],
        [str(collection / "sea/1.png"), "ignored by the list"],
    ]
    require_categories(collection, found, "rejected.csv", rows=rows)
    # The hash changes with a category and with an image, but not with an image that is not listed.
    before = manifest.contents(settings, tmp_path / "hashes.json")
    picture(3, 51).save(collection / "other.png")
    assert manifest.contents(settings, tmp_path / "hashes.json") == before
    written(collection, text.replace("red,train", "green,train"))
    changed = manifest.contents(settings, tmp_path / "hashes.json")
    picture(3, 52).save(collection / "loose.png")
    assert len({before, changed, manifest.contents(settings, tmp_path / "hashes.json")}) == 3


def test_a_manifest_without_usable_images(tmp_path: Path) -> None:
    write_collection(tmp_path / "in")
    rows = manifest.read(written(tmp_path / "in", "path,category\nx.png,a\n"))
    with pytest.raises(InputError, match=r"names no usable image \(1 does not exist; see rejected\.csv\)"):
        require_categories(
            tmp_path / "in", collect(tmp_path / "in", tmp_path / "m", rows=rows), "rejected.csv", rows=rows
        )


def test_without_labels_a_manifest_needs_no_categories(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,split,camera\na.jpg,,x\nb.jpg,ignore,y\n")
    found = manifest.read(tmp_path / "list.csv", labelled=False)
    assert found == {
        "a.jpg": {"split": "", "camera": "x", "category": ""},
        "b.jpg": {"split": "ignore", "camera": "y", "category": ""},
    }
    with pytest.raises(InputError, match="has no column 'category', but path, split, camera: add it, or set coll"):
        manifest.read(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("path,category\na.jpg,lion;cub\n")
    assert manifest.read(tmp_path / "list.csv", labelled=False) == {"a.jpg": {"category": ""}}


def test_several_categories_are_sorted(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,category\na.jpg,water; bird ;water;\nb.jpg,rock/pop\n")
    rows = manifest.read(tmp_path / "list.csv")
    assert [row["category"] for row in rows.values()] == ["bird / water", "rock/pop"]
    (tmp_path / "list.csv").write_text("path,category\na.jpg,bird / water\n")
    with pytest.raises(InputError, match=r"line 2: the category 'bird / water' has ' / ' in it"):
        manifest.read(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text('path,category\na.jpg,";"\n')
    with pytest.raises(InputError, match=r"line 2: 'a.jpg' has no category"):
        manifest.read(tmp_path / "list.csv")


def test_parquet_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install pyarrow")
    pyarrow = pytest.importorskip("pyarrow")
    columns = {
        "path": ["b.jpg", "a.jpg"],
        "category": [["water", "bird"], ["bird"]],
        "split": ["query", None],
        "year": [2024, 2025],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    (tmp_path / "list.csv").write_text("path,category,split,year\nb.jpg,water;bird,query,2024\na.jpg,bird,,2025\n")
    assert manifest.read(tmp_path / "list.parquet") == manifest.read(tmp_path / "list.csv")
    parquet.write_table(pyarrow.table({"path": ["a.jpg", "../b.jpg"]}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match="has no column 'category'"):
        manifest.read(tmp_path / "list.parquet")
    with pytest.raises(InputError, match=r"list.parquet, row 2: the path '../b.jpg' is empty or leads out"):
        manifest.read(tmp_path / "list.parquet", labelled=False)
    (tmp_path / "list.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(InputError, match=r"list.parquet is not a readable Parquet file \(.*\): write it anew"):
        manifest.read(tmp_path / "list.parquet")


def test_without_pyarrow_a_parquet_file_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "list.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(InputError, match=r"is a Parquet file, which the package pyarrow reads: install it"):
        manifest.read(tmp_path / "list.parquet")
