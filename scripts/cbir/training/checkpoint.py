"""Checkpoints: the whole state of a training in one file, which is written after every epoch."""

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.files import atomic
from cbir.files.archive import require_plain

log = logging.getLogger("cbir")

Arrays = list[NDArray[Any]]


@dataclass
class State:
    """The state of a training after an epoch.

    Attributes:
        fingerprint: hash of settings, images, initial weights and library versions.
        history: a row per epoch; epoch 0 is the state before training.
        best: the epoch with the best validation so far.
        stuck: number of consecutive steps with collapsed embeddings, see `cbir.training.collapse`.
        weights: weights of the encoder.
        objective: variables of the loss, such as proxies.
        optimizer: variables of the optimizer.
        best_weights: weights of the encoder after the best epoch.
    """

    fingerprint: str
    history: list[dict[str, Any]] = field(default_factory=list)
    best: int = 0
    stuck: int = 0
    weights: Arrays = field(default_factory=list)
    objective: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    best_weights: Arrays = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return len(self.history) - 1


_ARRAYS = ("weights", "objective", "optimizer", "best_weights")


def save(path: Path, state: State) -> None:
    """Write ``state``, whole or not at all."""
    plain = {name: value for name, value in asdict(state).items() if name not in _ARRAYS}
    arrays = {f"{name}/{i}": array for name in _ARRAYS for i, array in enumerate(getattr(state, name))}
    atomic.sweep(path)
    with atomic.atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, state=np.array(json.dumps(plain)), **arrays)


def load(path: Path, fingerprint: str) -> State | None:
    """Read a state; return None if the file is missing, damaged, or of a training with another fingerprint."""
    if not path.is_file():
        return None
    try:
        require_plain(path)
        with np.load(path, allow_pickle=False) as stored:
            plain = json.loads(str(stored["state"]))
            counts = {name: sum(key.startswith(f"{name}/") for key in stored.files) for name in _ARRAYS}
            plain |= {name: [stored[f"{name}/{i}"] for i in range(counts[name])] for name in _ARRAYS}
            state = State(**plain)
            if not (isinstance(state.history, list) and 0 <= state.best <= state.epoch):
                raise ValueError("its history does not fit its best epoch")
    # A damaged archive may raise any type of exception.
    except Exception as error:
        log.warning("%s is not a checkpoint (%s): the training starts anew", path, error)
        return None
    if state.fingerprint != fingerprint:
        log.info("%s belongs to other settings, images or versions: the training starts anew", path)
        return None
    return state
