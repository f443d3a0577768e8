"""Notice an embedding that maps every image to the same place."""

import math

from cbir.files.errors import InputError
from cbir.training.settings import TrainingSettings

# Embeddings of an untrained network lie close together too; a healthy training parts them within fewer steps.
STUCK_STEPS = 60
# The hinge of a triplet of coinciding embeddings is the margin; a tenth of it counts as no distance. Measured at margin
# 0.2: batch-hard mining of a network from scratch collapsed to loss 0.216 and spread 0.05 within an epoch, healthy
# trainings have spreads above 0.7.
TOLERANCE = 0.1


def is_collapsed(loss: float, spread: float, margin: float) -> bool:
    """Tell whether a loss stands at the margin while the embeddings have no spread to speak of.

    Args:
        loss: mean hinge.
        spread: root mean square distance of the embeddings to their mean.
        margin: of the loss, in squared distances.
    """
    return abs(loss - margin) <= TOLERANCE * margin and spread**2 <= TOLERANCE * margin


def check(loss: float, spread: float, stuck: int, steps: int, epoch: int, settings: TrainingSettings) -> int:
    """Return for how many steps the embedding has been collapsed, after an epoch of ``steps`` steps.

    Args:
        loss: mean of the epoch.
        spread: mean of the epoch's batches.
        stuck: the count before.
        steps: in the epoch.
        epoch: its number, for the message.
        settings: of the training.

    Raises:
        InputError: when the loss is not a number, or the embedding has been collapsed for ``STUCK_STEPS`` steps.
    """
    if not math.isfinite(loss):
        raise InputError(
            f"The loss became {loss} in epoch {epoch}: lower training.learning_rate, now {settings.learning_rate:g}."
        )
    if not is_collapsed(loss, spread, settings.margin):
        return 0
    if stuck + steps < STUCK_STEPS:
        return stuck + steps
    easier = {
        "batch-hard": "set training.mining to semi-hard or random, or lower",
        "semi-hard": "set training.mining to random, or lower",
        "random": "change",
    }[settings.mining]
    raise InputError(
        f"The embedding has collapsed: by epoch {epoch} the loss stands at the margin, {loss:.3g}, and the images lie "
        f"only {spread:.2g} apart: {easier} training.learning_rate, now {settings.learning_rate:g}."
    )
