"""`cbir export`: the vectors of a method as Parquet."""

import sys
from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.command import main
from cbir.features import store
from cbir.files.errors import InputError
from cbir.files.tables import write_json
from web.made import CATEGORIES, write_results


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results = write_results(tmp_path)
    labels = {str(number): name for number, name in enumerate(CATEGORIES)}
    names = {"index_to_category": labels, "category_to_index": {name: int(number) for number, name in labels.items()}}
    write_json(results / "collection/categories.json", names)
    return results


def test_the_file_holds_every_image_with_its_vector(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    # Small parts, so that there are several.
    monkeypatch.setattr("cbir.retrieval.export._GROUP", 7)
    path = tmp_path / "tiny.parquet"
    assert main(["export", "--results", str(folder), "--method", "tiny", "--output", str(path)]) == 0
    assert "the vectors of 21 images by the method tiny" in capsys.readouterr().out
    table = parquet.read_table(path)
    assert table.column_names == ["image_id", "category", "split", "vector"]
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float>[5]"
    assert table.schema.metadata[b"cbir.method"] == b"tiny"
    held = [store.read(folder / f"features/tiny/{split}.h5") for split in ("train", "test")]
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    assert np.array_equal(vectors, np.vstack([part.features for part in held]))
    assert table["image_id"].to_pylist() == [name for part in held for name in part.image_id]
    assert table["split"].to_pylist() == ["train"] * 18 + ["test"] * 3
    assert table["category"].to_pylist() == [CATEGORIES[label] for part in held for label in part.label]
    assert cbir.open(folder).export("tiny", path, ["test"]) == 3
    assert parquet.read_table(path).num_rows == 3


def test_an_invalid_export_is_an_input_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, path = cbir.open(folder), tmp_path / "x.parquet"
    for method, splits, reason in (
        ("none", ["train"], "no method 'none'"),
        ("tiny", ["all"], "There is no split 'all'"),
        ("tiny", ["val"], "no features of the method 'tiny' to export"),
    ):
        with pytest.raises(InputError, match=reason):
            results.export(method, path, splits)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow, which is not installed: run `.venv/bin/pip install pyarrow`"):
        results.export("tiny", path)
    assert not path.exists()
