"""Losses that an encoder can be trained with; the configuration names them in ``training: loss:``.

Each entry is a module that defines

``build(settings, categories, dimension, **options)``
    Returns a `cbir.training.losses._loss.Loss`, a Keras layer that maps the embeddings of a batch to the loss.
    ``settings`` is the `cbir.training.settings.TrainingSettings`; the loss may use those that concern it, such as
    ``margin``. ``categories`` is the largest label plus 1, and ``dimension`` is the length of an embedding. Options are
    keyword arguments, named as in the configuration.

and, if the loss has options, ``OPTIONS`` with their JSON schemas and defaults, see `cbir.features.steps`.

The same optimizer trains the variables that a loss creates with ``add_weight``, such as a proxy of each category, and
those of the encoder. They are kept in checkpoints, but not in the finished encoder.

A batch has P categories with K images each (``categories_per_batch``, ``images_per_category``). Embeddings have length
1 if ``settings.normalise`` is true. A loss may use random numbers only in `Loss.targets`, whose generator depends on
seed, epoch and number of the batch alone, so that a resumed training repeats them.

This package does not import Keras, because the configuration is checked with the names of the entries.
"""

from typing import Any

from cbir.files.options import by_name
from cbir.files.registry import Registry

WEIGHT = "weight"
"""The option that every loss has: its factor in the sum of several losses."""

REGISTRY = Registry(
    __name__, __path__[0], "loss", common={WEIGHT: {"type": "number", "exclusiveMinimum": 0, "default": 1}}
)


def asked(loss: str | dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the names of the losses of a training, each with the options that the configuration sets.

    Args:
        loss: a name, or several names with their weights, such as ``{multi-similarity: 1, proxy-anchor: 0.1}``, or with
            options, such as ``{arcface: {scale: 32, weight: 0.5}}``.
    """
    if isinstance(loss, str):
        return {loss: {}}
    return {name: by_name(value, REGISTRY.common) for name, value in loss.items()}
