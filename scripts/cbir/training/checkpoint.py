"""A training's whole state in one file, written after every epoch."""

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
        fingerprint: of settings, images, initial weights and library versions.
        history: a row an epoch, from epoch 0, the state before training.
        best: the epoch with the best validation so far.
        stuck: steps since the embeddings last had a spread, see `cbir.training.collapse`.
        weights: the encoder's.
        objective: the loss's variables; most losses have none.
        optimizer: its variables.
        best_weights: the encoder's at the best epoch.
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
    """Read a state; None when there is none, or none of the training with this ``fingerprint``."""
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
                raise ValueError("its history is none")
    # A damaged archive raises nearly anything.
    except Exception as error:
        log.warning("%s is not a checkpoint (%s): the training starts anew", path, error)
        return None
    if state.fingerprint != fingerprint:
        log.info("%s belongs to other settings, images or versions: the training starts anew", path)
        return None
    return state
