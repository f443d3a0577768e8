"""Losses that an encoder can be trained with, an entry a file; the configuration names one by ``training: loss:``.

An entry defines one function:

``build(settings, categories, dimension, **options)`` returns a `cbir.training.losses._loss.Loss`, a Keras layer that
maps the embeddings of a batch to its loss. ``settings`` is the `cbir.training.settings.TrainingSettings`; a loss may
use those that concern it, such as ``margin``. ``categories`` is one more than the largest label, and ``dimension`` is
the length of an embedding. Variables that the loss makes by ``add_weight``, such as a proxy for each category, are
trained with the encoder's by the same optimizer, kept in checkpoints, and left behind when the training ends. Options
are keyword arguments, named as in the configuration. An entry may state them as ``OPTIONS``, see `cbir.features.steps`,
so that they are checked before anything runs.

A batch has P categories with K images each (``categories_per_batch``, ``images_per_category``). Embeddings have length
1 if ``settings.normalise`` says so. What a loss draws at random it draws in `Loss.targets`, whose generator depends
on seed, epoch and batch only; a resumed training repeats it.

This package imports no Keras, because the configuration is checked by the names of the entries before Keras is needed.
"""

from typing import Any

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "loss")

WEIGHT = "weight"
"""The option that every loss has: what it is multiplied by where several are summed up."""


def asked(loss: str | dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the losses of a training with their options.

    Args:
        loss: a name; or names with their weights, as ``{multi-similarity: 1, proxy-anchor: 0.1}``, or with their
            options, as ``{arcface: {scale: 32, weight: 0.5}}``.
    """
    if isinstance(loss, str):
        return {loss: {}}
    return {
        name: value if isinstance(value, dict) else {} if value is None else {WEIGHT: value}
        for name, value in loss.items()
    }
