"""HDF5 files with parts that this project does not write are refused by type, before the part is read."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cbir.files import hdf5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        hdf5.write_texts(file, "texts", ["a", "é漢", ""])
        hdf5.write_attributes(file, {"text": "é漢", "empty": "", "number": 1, "truth": True, "share": 0.5})
        file["numbers"] = np.arange(6, dtype=np.float32).reshape(2, 3)
    return tmp_path / "t.h5"


def test_a_written_file_is_read_back(path: Path) -> None:
    for source in (path, path.read_bytes()):
        with hdf5.opened(source) as file:
            wanted = ["text", "empty", "number", "truth", "share", "none"]
            assert hdf5.attributes(file, wanted) == {"text": "é漢", "empty": "", "number": 1, "truth": 1, "share": 0.5}
            assert hdf5.texts(hdf5.dataset(file, "texts", "S", 1)).tolist() == ["a", "é漢", ""]
            assert hdf5.dataset(file, "numbers", np.float32, 2)[1].tolist() == [3, 4, 5]


def test_a_file_can_be_read_with_h5py_alone(path: Path) -> None:
    with h5py.File(path) as file:
        assert file["texts"].asstr()[1] == "é漢"
        assert file.attrs["text"].decode() == "é漢"
        assert file.attrs["truth"] == 1


def test_a_dataset_without_texts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        hdf5.write_texts(file, "texts", [])
    with hdf5.opened(tmp_path / "t.h5") as file:
        assert hdf5.texts(hdf5.dataset(file, "texts", "S", 1)).tolist() == []


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)


def compact(file: h5py.File) -> None:
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3,)), create)


def never_written(file: h5py.File) -> None:
    file.create_dataset("x", (2**40,), np.float32)


def compressed(file: h5py.File) -> None:
    """Write 40 MB that are compressed to 50 kB; 1.9 GB would be 1.9 MB."""
    file.create_dataset("x", data=np.zeros(10_000_000, np.float32), chunks=(10_000_000,), compression="gzip")


OTHERS: dict[str, Callable[[h5py.File], Any]] = {
    "missing": lambda file: None,
    "group": lambda file: file.create_group("x"),
    "soft link": lambda file: file.__setitem__("x", h5py.SoftLink("/numbers")),
    "external link": lambda file: file.__setitem__("x", h5py.ExternalLink("other.h5", "/x")),
    "named type": lambda file: file.__setitem__("x", np.dtype("f4")),
    "external storage": lambda file: file.create_dataset("x", (3,), np.float32, external=[("other.bin", 0, 12)]),
    "virtual": virtual,
    "compact": compact,
    "chunked": lambda file: file.create_dataset("x", data=np.zeros(3, np.float32), chunks=(3,)),
    "resizable": lambda file: file.create_dataset("x", data=np.zeros(3, np.float32), maxshape=(None,)),
    "compressed": compressed,
    "shuffled": lambda file: file.create_dataset("x", data=np.zeros(3, np.float32), shuffle=True),
    "checked": lambda file: file.create_dataset("x", data=np.zeros(3, np.float32), fletcher32=True),
    "never written": never_written,
    "scalar": lambda file: file.create_dataset("x", data=np.float32(1)),
    "table": lambda file: file.create_dataset("x", data=np.zeros((3, 1), np.float32)),
    "without a shape": lambda file: file.create_dataset("x", dtype=np.float32),
    "double": lambda file: file.create_dataset("x", data=np.zeros(3)),
    "whole numbers": lambda file: file.create_dataset("x", data=np.zeros(3, np.int32)),
    "big-endian": lambda file: file.create_dataset("x", data=np.zeros(3, ">f4")),
    "truth values": lambda file: file.create_dataset("x", data=np.zeros(3, bool)),
    "complex": lambda file: file.create_dataset("x", data=np.zeros(3, np.complex64)),
    "texts of any length": lambda file: file.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype()),
    "lists": lambda file: file.create_dataset("x", (3,), h5py.vlen_dtype(np.float32)),
    "references": lambda file: file.__setitem__("x", np.array([file["numbers"].ref] * 3, h5py.ref_dtype)),
    "records": lambda file: file.create_dataset("x", data=np.zeros(3, [("a", np.float32)])),
    "arrays": lambda file: file.create_dataset("x", (3,), np.dtype((np.float32, 1000))),
    "opaque": lambda file: file.create_dataset("x", data=np.zeros(3, "V4")),
    "dates": lambda file: file.create_dataset("x", data=np.zeros(3, "M8[s]").astype(h5py.opaque_dtype("M8[s]"))),
}


@pytest.mark.parametrize("dtype", [np.float32, "S"])
@pytest.mark.parametrize("put", OTHERS.values(), ids=OTHERS)
def test_a_dataset_that_no_writer_makes_is_refused_before_it_is_read(
    put: Callable[[h5py.File], Any], dtype: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(path, "a") as file:
        put(file)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("it was read"))
    with hdf5.opened(path) as file, pytest.raises(ValueError, match="'x'"):
        hdf5.dataset(file, "x", dtype, 1)


def test_a_dataset_beyond_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("x", data=np.arange(1000, dtype=np.float32))
        place = file["x"].id.get_offset()
    data = bytearray(stream.getvalue())
    start = data.index(place.to_bytes(8, "little"))
    data[start : start + 8] = (len(data) - 3999).to_bytes(8, "little")
    # The library refuses some such files itself.
    with hdf5.opened(bytes(data)) as file, pytest.raises((KeyError, ValueError), match=r"size|claims more bytes"):
        hdf5.dataset(file, "x", np.float32, 1)


ATTRIBUTES: dict[str, Any] = {
    "text of any length": "x" * 100,
    "texts": np.array([b"a", b"b"]),
    "numbers": np.arange(3),
    "nothing": h5py.Empty("f"),
    "truth value": True,
    "record": np.zeros((), [("a", int)]),
    "array": np.zeros((), np.dtype((int, 3))),
    "complex": 1j,
    "long": np.bytes_(b"x" * 70_000),
}


@pytest.mark.parametrize("value", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_an_attribute_that_no_writer_makes_is_refused_before_it_is_read(value: Any, path: Path) -> None:
    # The newest format admits attributes of any length.
    with h5py.File(path, "a", libver="latest") as file:
        file.create_group("g", track_order=True).attrs["x"] = value
        file["g"].attrs["good"] = 1
    with hdf5.opened(path) as file:
        assert hdf5.attributes(file["g"], ["good"]) == {"good": 1}
        with pytest.raises(ValueError, match="'x'"):
            hdf5.attributes(file["g"], ["good", "x"])


def test_an_attribute_that_is_a_reference_is_refused(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["x"] = file["numbers"].ref
    with hdf5.opened(path) as file, pytest.raises(ValueError, match="'x' is neither a text of fixed length nor a num"):
        hdf5.attributes(file, ["x"])


def test_only_requested_attributes_are_read(path: Path) -> None:
    """150 attributes that shared one text of 20 MB took 5.9 GB."""
    with h5py.File(path, "a") as file:
        for number in range(150):
            file.attrs[f"more {number}"] = "x" * 1000
    data = path.read_bytes()
    # Each is an invalid address of a heap.
    heap = data.index(b"GCOL").to_bytes(8, "little")
    path.write_bytes(data.replace(heap, b"\xf0" * 8))
    with hdf5.opened(path) as file:
        assert hdf5.attributes(file, ["text"]) == {"text": "é漢"}


@pytest.mark.parametrize("link", [h5py.SoftLink("/good"), h5py.ExternalLink("other.h5", "/good")])
def test_a_group_behind_a_link_is_not_entered(link: Any, path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.create_group("good")
        file["x"] = link
    with hdf5.opened(path) as file:
        assert hdf5.group(file, "good").name == "/good"
        for name in ("x", "texts", "none"):
            with pytest.raises(ValueError, match=f"lacks the group '{name}'"):
                hdf5.group(file, name)


def test_a_path_that_is_no_hdf5_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("GCOL" * 10)
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "text", "none", "pipe"):
        with pytest.raises((OSError, ValueError)), hdf5.opened(tmp_path / name):
            pass
