"""Common ranges of the values of a collection's images, and the tables that contain them."""

from pathlib import Path

import pandas as pd
import pytest

from cbir.collection import ranges
from cbir.collection.ranges import Ranges
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, write_csv, write_json


def test_each_bit_depth_has_its_own_ranges() -> None:
    values = {"a": (16, 4000), "b": (16, 400), "c": (32, 200), "d": None, "e": (16, 0), "f": (16, 200)}
    assert ranges.find(values) == Ranges({16: [4095, 255], 32: [255]}, {"b": 4095})
    assert ranges.find({"d": None, "e": (16, 0)}) == Ranges({}, {})


def test_a_note_names_the_white() -> None:
    assert ranges.note(16, 40000, 0) == ranges.note(32, 0, 0) == ""
    start = "values of 12 bits in a file of 32 bits that does not state its range: "
    assert ranges.note(32, 4000, 0) == f"{start}4095 is taken for white"
    assert ranges.note(32, 4000, 16383) == f"{start}16383 is taken for white, as in other such files"


def test_a_table_has_whites_only_if_one_of_its_images_needs_one(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a", "b"], "sha256": ["1", "2"]})
    assert list(ranges.with_whites(table, {"3": 4095}).columns) == ["path", "sha256"]
    assert ranges.whites_of(table) == [0, 0]
    write_csv(tmp_path / "table.csv", ranges.with_whites(table, {"2": 4095}))
    read = read_csv(tmp_path / "table.csv", ["path", "sha256"])
    assert ranges.whites_of(read) == [0, 4095]
    for wrong in ("x", "-1", "0.5", str(2**32)):
        (tmp_path / "table.csv").write_text(f"path,sha256,white\na,1,{wrong}\n")
        with pytest.raises(InputError, match="whole numbers as 'white'"):
            ranges.whites_of(read_csv(tmp_path / "table.csv", ["path", "sha256"]))


def test_written_ranges_are_read_back(tmp_path: Path) -> None:
    held = Ranges({16: [65535, 255], 32: [1023]}, {"1": 65535})
    write_json(tmp_path / "ranges.json", ranges.as_data(held))
    assert ranges.read(tmp_path / "ranges.json") == held
    for wrong in (
        {"whites": {}},
        {"whites": {"8": [255]}, "images": {}},
        {"whites": {"16": 255}, "images": {}},
        {"whites": {"16": [0]}, "images": {}},
        {"whites": {}, "images": {"1": "255"}},
        {"whites": {}, "images": {"1": 2**32}},
    ):
        write_json(tmp_path / "ranges.json", wrong)
        with pytest.raises(InputError, match=r"ranges\.json"):
            ranges.read(tmp_path / "ranges.json")
