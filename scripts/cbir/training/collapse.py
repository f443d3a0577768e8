"""Notice an embedding that maps every image to the same place."""

import math
from typing import Any

from cbir.files.errors import InputError

# Embeddings of an untrained network are close together, too; a healthy training spreads them within fewer steps.
STUCK_STEPS = 60


def check(loss: float, spread: float, stuck: int, steps: int, epoch: int, rate: float, objective: Any) -> int:
    """Return for how many steps the embedding has been collapsed, after an epoch of ``steps`` steps.

    Args:
        loss: mean of the epoch.
        spread: mean of the epoch's batches.
        stuck: the count before.
        steps: in the epoch.
        epoch: its number, for the message.
        rate: the learning rate, for the message.
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
