"""The loss that a training minimises: an entry of the registry, or the weighted sum of several."""

import inspect

from cbir.files.errors import InputError
from cbir.files.options import defaults
from cbir.training import losses
from cbir.training.losses._loss import Loss
from cbir.training.losses._weighted import Weighted
from cbir.training.settings import TrainingSettings


def build(settings: TrainingSettings, categories: int, dimension: int) -> Loss:
    """Return the loss of a training.

    Args:
        settings: of the training; ``loss`` names the loss or the losses.
        categories: the largest label plus 1.
        dimension: length of an embedding.

    Raises:
        InputError: when a loss does not exist or does not take one of its options.
    """
    parts, weights = [], []
    for name, options in losses.asked(settings.loss).items():
        entry = losses.REGISTRY.get_entry(name)
        own = defaults({**losses.REGISTRY.common, **getattr(entry, "OPTIONS", {})}) | options
        weights.append(float(own.pop(losses.WEIGHT)))
        try:
            inspect.signature(entry.build).bind(settings, categories, dimension, **own)
        except TypeError as error:
            raise InputError(f"training.loss: {name} does not fit its options ({error}): correct them.") from None
        parts.append(entry.build(settings, categories, dimension, **own))
    return parts[0] if weights == [1] else Weighted(parts, weights)
