import json
import os
from pathlib import Path
from typing import Any

import pytest

from cbir.feedback.folder import Entry, find
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError

GOOD: dict[str, Any] = {"query": "cat/a.jpg", "rounds": [{"relevant": [0]}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feedback").mkdir()
    return tmp_path / "feedback"


def write(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(GOOD | changes))


def found(folder: Path) -> dict[str, Entry]:
    return find(folder, ["pretrained", "siamese"], Weights(1, 2, 3), "siamese", 4)


def test_a_missing_folder_has_no_refinements(folder: Path) -> None:
    assert found(folder) == {}
    assert found(folder / "nowhere") == {}


def test_a_file_instead_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be read"):
        found(tmp_path / "file")


def test_each_refinement_is_named_by_its_file_and_gets_the_configured_defaults(folder: Path) -> None:
    write(folder / "b.json", method="pretrained", k=7, gamma=0)
    write(folder / "a-1.2_x.json")
    entries = found(folder)
    assert list(entries) == ["a-1.2_x", "b"]
    assert entries["b"].path == str(folder / "b.json")
    first, second = entries["a-1.2_x"].refinement, entries["b"].refinement
    assert first is not None and second is not None
    assert (first.method, first.k, first.weights) == ("siamese", 4, Weights(1, 2, 3))
    assert (second.method, second.k, second.weights) == ("pretrained", 7, Weights(1, 2, 0))
    assert [entry.problem for entry in entries.values()] == ["", ""]


def test_other_and_half_written_files_are_ignored(folder: Path) -> None:
    write(folder / ".a.x7.json")
    (folder / "notes.txt").write_text("{")
    (folder / "below.json.d").mkdir()
    assert found(folder) == {}


def test_an_invalid_file_is_an_entry_with_its_problem(folder: Path) -> None:
    write(folder / "good.json")
    write(folder / "method.json", method="magic")
    (folder / "text.json").write_text("not JSON")
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to("nowhere")
    entries = found(folder)
    assert sorted(entries) == ["folder", "good", "link", "method", "text"]
    assert entries["good"].refinement is not None
    for name, words in {"method": "magic", "text": "not valid JSON", "folder": "directory", "link": "No such"}.items():
        assert entries[name].refinement is None
        assert f"{name}.json" in entries[name].problem and words in entries[name].problem


@pytest.mark.parametrize("name", ["my file", "ä", "-x", "simulated", "x" * 101, "{a}", "a\nb", "\udcff"])
def test_an_invalid_name_is_a_problem_of_that_file_only(folder: Path, name: str) -> None:
    write(folder / f"{name}.json")
    [(key, entry)] = found(folder).items()
    assert key.startswith("refinement-") and key.isascii() and key.replace("-", "").isalnum()
    assert entry.refinement is None
    assert "rename it" in entry.problem and entry.problem.isprintable()


def test_only_images_in_the_folder_can_be_queries(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in/cat.jpg").touch()
    (folder.parent / "secret.jpg").touch()
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    queries = {"inside": "in/cat.jpg", "id": "cat/a.jpg", "up": "../secret.jpg", "link": "link.jpg"}
    queries["around"] = "in/../in/./cat.jpg"
    for name, query in queries.items():
        write(folder / f"{name}.json", query=query)
    images = {name: entry.image for name, entry in found(folder).items()}
    path = os.path.join(folder, "in/cat.jpg")
    assert images == {"inside": path, "around": path, "id": None, "up": None, "link": None}


def test_an_image_with_an_unprintable_name_is_a_problem(folder: Path) -> None:
    (folder / "a\nb.jpg").touch()
    write(folder / "x.json", query="a\nb.jpg")
    entry = found(folder)["x"]
    assert entry.refinement is None and entry.image is None
    assert "x.json: query" in entry.problem and "rename the image" in entry.problem
