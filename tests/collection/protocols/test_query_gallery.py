import json
import logging
from pathlib import Path
from typing import Any

import pytest

from cbir.collection.protocols import query_gallery
from cbir.files.errors import InputError
from collection.made import table

IMAGES = table({"a": 3, "b": 2})


def write(folder: Path, value: Any) -> dict[str, str]:
    path = folder / "list.json"
    path.write_text(json.dumps(value))
    return {"relevance": str(path)}


def test_queries_are_test_and_all_others_the_gallery(tmp_path: Path) -> None:
    settings = write(tmp_path, {"queries": {"a/1.png": {"easy": ["a/0.png"], "junk": ["b/0.png"]}}})
    tables = query_gallery.split(IMAGES, settings, {})
    assert {name: part["image_id"].tolist() for name, part in tables.items()} == {
        "train": ["a/0.png", "a/2.png", "b/0.png", "b/1.png"],
        "val": [],
        "test": ["a/1.png"],
    }
    assert query_gallery.relevance(settings).to_numpy().tolist() == [
        ["a/1.png", "a/0.png", "easy"],
        ["a/1.png", "b/0.png", "junk"],
    ]


def test_a_gallery_may_be_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = write(tmp_path, {"queries": {"a/1.png": {}}, "gallery": ["b/0.png"]})
    with caplog.at_level(logging.WARNING, "cbir"):
        tables = query_gallery.split(IMAGES, settings, {})
    assert tables["train"]["image_id"].tolist() == ["b/0.png"]
    assert "1 queries have no relevant image and count in no mean: a/1.png" in caplog.text


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"queries": {"a/9.png": {}}}, "names queries that are no usable images of the collection \\('a/9.png'\\)"),
        ({"queries": {"a/1.png": {}}, "gallery": ["x"]}, "names images of the gallery that are no usable images"),
        ({"queries": {"a/1.png": {}}, "gallery": ["a/1.png"]}, "names queries that are in the gallery, too"),
        ({"queries": {"a/1.png": {"hard": ["a/1.png"]}}}, "judges images that are not in the gallery \\('a/1.png'\\)"),
        ({"queries": {name: {} for name in IMAGES["image_id"]}}, "leaves no image for the gallery"),
    ],
)
def test_a_file_that_does_not_fit_the_collection_is_refused(tmp_path: Path, value: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        query_gallery.split(IMAGES, write(tmp_path, value), {})
