"""Which trained networks are kept, and the notice about those that a run trains."""

from pathlib import Path
from typing import Any

import pytest

from cbir.encoders.frozen import frozen
from cbir.files.errors import InputError
from cbir.files.tables import write_json
from cbir.report.summary import trainings

ROW = {"architecture": "siamese", "freeze": True, "size": None, "pooling": None, "crop": "squash", "flip": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two trained networks."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in (f"{name}.keras", f"{name}/history.csv", f"{name}/checkpoint.code"):
            (tmp_path / file).touch()
        write_json(tmp_path / f"{name}.json", {"architecture": "siamese"})
    return tmp_path


def test_trained_networks_are_kept_if_they_are_frozen(folder: Path) -> None:
    assert frozen(folder, {"b": ROW, "a": ROW, "c": ROW, "d": ROW | {"freeze": False}}) == ["a", "b"]
    assert frozen(folder, {"a": ROW | {"freeze": False}}) == []


@pytest.mark.parametrize("file", ["a.keras", "a.json", "a/history.csv", "a/checkpoint.code"])
def test_an_unfinished_training_continues(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert frozen(folder, {"a": ROW, "b": ROW}) == ["b"]


@pytest.mark.parametrize("change", [{"architecture": "mobilenetv2"}, {"size": 96}, {"flip": True}])
def test_a_frozen_network_that_does_not_fit_its_row_is_refused(folder: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"encoders\.a is frozen, but .*a\.keras is of another architecture or takes"):
        frozen(folder, {"a": ROW | change})


def test_the_notice_says_how_long_trainings_took_the_last_time(tmp_path: Path) -> None:
    taken, short, none = (tmp_path / f"{name}.tsv" for name in ("taken", "short", "none"))
    taken.write_text("s\th:m:s\n287.31\t0:04:47\n")
    short.write_text("s\th:m:s\n-\t-\n")
    assert trainings({"b": none}) == "This run trains b."
    assert trainings({"b": none, "a": taken, "c": short}) == (
        "This run trains a (last time 4 min 47 s), b, c. To keep a trained network when images are added, set "
        "encoders.NAME.freeze to true."
    )
