"""What libhdf5 itself does not stand: bytes found by damaging stores at random."""

import os
import struct
from pathlib import Path

import h5py
import pytest

from cbir import hdf5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["texts"] = ["a", "b"]
        file.attrs.update({"text": "x", "number": 1, "truth": True, "share": 0.5})
    return tmp_path / "t.h5"


def test_plain_attributes_and_texts(path: Path) -> None:
    with hdf5.opened(path) as file:
        assert hdf5.attributes(file) == {"text": "x", "number": 1, "truth": True, "share": 0.5}
        assert hdf5.dataset(file, "texts").asstr()[:].tolist() == ["a", "b"]
    with hdf5.opened(path.read_bytes()) as file:
        assert hdf5.attributes(file)["text"] == "x"


def test_a_heap_at_which_the_library_goes_round_in_a_circle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = data.index(b"GCOL")
    size = struct.unpack_from("<Q", data, start + 8)[0]
    place = start + 16
    # To the room that is left, whose length becomes 0.
    while (number := struct.unpack_from("<H", data, place)[0]) != 0:
        place += 16 + -(-struct.unpack_from("<Q", data, place + 8)[0] // 8) * 8
    assert number == 0 and place < start + size
    struct.pack_into("<Q", data, place + 8, 0)
    path.write_bytes(data)
    for source in (path, bytes(data)):
        with pytest.raises(ValueError, match="do not end"), hdf5.opened(source):
            pass


def test_a_heap_with_less_room_left_than_an_object_s_head_takes(tmp_path: Path) -> None:
    # 4,096 bytes: 16 of the heap's head, 167 texts of 16 + 8 and 2 of 16 + 16. The 8 that are left are 0.
    texts = ["eight_by"] * 167 + ["sixteen_sixteen_"] * 2
    path = tmp_path / "full.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype())
        file.create_dataset("zeros", data=[0.0] * 1000)
    data = path.read_bytes()
    start = data.index(b"GCOL")
    assert struct.unpack_from("<Q", data, start + 8)[0] == 4096
    assert data[start + 4088 : start + 4112] == bytes(24)
    with hdf5.opened(path) as file:
        assert hdf5.dataset(file, "texts").asstr()[:].tolist() == texts


def test_an_attribute_at_which_the_library_reads_foreign_memory(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # Name, padded to 8 bytes, then its type: a list (9) of version 1, of the kind text (1).
    place = data.index(b"text\0\0\0\0\x19\x01")
    data[place + 9] = 0x23
    path.write_bytes(data)
    with hdf5.opened(path) as file, pytest.raises(ValueError, match="neither a text nor a number"):
        hdf5.attributes(file)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("GCOL" * 10)
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "text", "none", "pipe"):
        with pytest.raises((OSError, ValueError)), hdf5.opened(tmp_path / name):
            pass
