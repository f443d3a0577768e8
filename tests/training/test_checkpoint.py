import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbir.training import checkpoint
from cbir.training.checkpoint import State


def state() -> State:
    weights = [np.arange(12, dtype=np.float32).reshape(3, 4), np.float32(2) * np.ones(11, dtype=np.float32)]
    history = [{"epoch": 0, "loss": float("nan"), "map": 0.1}, {"epoch": 1, "loss": 1 / 3, "map": 0.2}]
    return State("abc", history, 1, 7, weights, [np.array(5), *weights], [weights[1]])


def test_a_state_is_restored_unchanged(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "checkpoint.npz", state())
    read = checkpoint.load(tmp_path / "checkpoint.npz", "abc")
    assert read is not None
    assert (read.epoch, read.best, read.stuck, read.history[1]) == (1, 1, 7, state().history[1])
    assert np.isnan(read.history[0]["loss"])
    for name in ("weights", "optimizer", "best_weights"):
        ours, theirs = getattr(state(), name), getattr(read, name)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(ours, theirs, strict=True))


def test_a_missing_checkpoint_or_one_of_another_training_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "checkpoint.npz", "abc") is None
    checkpoint.save(tmp_path / "checkpoint.npz", state())
    assert checkpoint.load(tmp_path / "checkpoint.npz", "other") is None


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, state())
    path.write_bytes(path.read_bytes()[:keep])
    assert checkpoint.load(path, "abc") is None


def test_a_pickled_array_is_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "checkpoint.npz", state=np.array([object()], dtype=object))
    assert checkpoint.load(tmp_path / "checkpoint.npz", "abc") is None


def member(content: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(json.dumps(content)))
    return stream.getvalue()


def header(shape: tuple[int, ...]) -> bytes:
    """Return the bytes of an array with a shape and no values."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


PLAIN = {"fingerprint": "abc", "history": [{"epoch": 0}], "best": 0, "stuck": 0}


@pytest.mark.parametrize(
    ("members", "packing"),
    [
        ({"state": member(PLAIN), "weights/0": header((10**12,))}, zipfile.ZIP_STORED),
        ({"state": member(PLAIN), "weights/0": header((25_000_000,)) + bytes(100_000_000)}, zipfile.ZIP_DEFLATED),
        ({"state": member([1])}, zipfile.ZIP_STORED),
        ({"state": member(PLAIN | {"history": "ab"})}, zipfile.ZIP_STORED),
        ({"state": member(PLAIN | {"history": []})}, zipfile.ZIP_STORED),
        ({"state": member(PLAIN | {"best": 1})}, zipfile.ZIP_STORED),
        ({"state": member(PLAIN | {"best": "0"})}, zipfile.ZIP_STORED),
        ({"state": member(PLAIN | {"more": 1})}, zipfile.ZIP_STORED),
        ({"state": b"\x93NUMPY\x01\x00v\x00" + b"(" * 118}, zipfile.ZIP_STORED),
    ],
)
def test_an_invalid_checkpoint_is_none(tmp_path: Path, members: dict[str, bytes], packing: int) -> None:
    with zipfile.ZipFile(tmp_path / "checkpoint.npz", "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    assert checkpoint.load(tmp_path / "checkpoint.npz", "abc") is None


@given(edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
@example(edits=[(0.003, 4)])  # The flag of an encrypted member.
@example(edits=[(0.005, 7)])  # An unknown compression method.
@settings(max_examples=100, deadline=None, derandomize=True)
def test_damaged_bytes_give_the_state_or_none(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[float, int]]
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "checkpoint.npz"
    checkpoint.save(path, state())
    data = bytearray(path.read_bytes())
    for place, value in edits:
        data[int(place * len(data))] = value
    path.write_bytes(data)
    read = checkpoint.load(path, "abc")
    assert read is None or read.epoch == 1
