"""Detect a collapse: a training after which all images have nearly the same vector."""

import math
from typing import Any

from cbir.files.errors import InputError

STUCK_STEPS = 60
"""Steps with a collapsed embedding after which a training ends. An untrained network looks collapsed, too, but a
successful training spreads its embeddings in fewer steps."""


def check(loss: float, spread: float, stuck: int, steps: int, epoch: int, rate: float, objective: Any) -> int:
    """Return the number of consecutive steps with a collapsed embedding, after an epoch of ``steps`` steps.

    Args:
        loss: mean loss of the epoch.
        spread: mean spread of the epoch's batches, see `cbir.training.model.spread`.
        stuck: the number of steps before this epoch.
        steps: number of steps in the epoch.
        epoch: number of the epoch, for the message.
        rate: learning rate, for the message.
        objective: the `cbir.training.losses._loss.Loss`, which decides whether the embedding has collapsed.

    Raises:
        InputError: when the loss is not a number, or the embedding has been collapsed for ``STUCK_STEPS`` steps.
    """
    if not math.isfinite(loss):
        raise InputError(f"The loss became {loss} in epoch {epoch}: lower training.learning_rate, now {rate:g}.")
    remedy = objective.collapse_remedy(loss, spread)
    if remedy is None:
        return 0
    if stuck + steps < STUCK_STEPS:
        return stuck + steps
    raise InputError(
        f"The embedding has collapsed: by epoch {epoch} the loss is {loss:.3g} and no longer falls, and the images lie "
        f"only {spread:.2g} apart: {remedy} training.learning_rate, now {rate:g}."
    )
