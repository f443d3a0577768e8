from pathlib import Path

import numpy as np
import pytest

from cbir.training import checkpoint
from cbir.training.checkpoint import State


def state() -> State:
    weights = [np.arange(12, dtype=np.float32).reshape(3, 4), np.float32(2) * np.ones(11, dtype=np.float32)]
    history = [{"epoch": 0, "loss": float("nan"), "map": 0.1}, {"epoch": 1, "loss": 1 / 3, "map": 0.2}]
    return State("abc", history, 1, 7, weights, [np.array(5), *weights], [weights[1]])


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "checkpoint.npz", state())
    read = checkpoint.load(tmp_path / "checkpoint.npz", "abc")
    assert read is not None
    assert (read.epoch, read.best, read.stuck, read.history[1]) == (1, 1, 7, state().history[1])
    assert np.isnan(read.history[0]["loss"])
    for name in ("weights", "optimizer", "best_weights"):
        ours, theirs = getattr(state(), name), getattr(read, name)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(ours, theirs, strict=True))


def test_no_checkpoint_or_one_of_another_training_is_none(tmp_path: Path) -> None:
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
