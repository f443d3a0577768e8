"""The settings of a training, from the key ``training`` of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from cbir.evaluation.metrics import REGISTRY as METRICS
from cbir.files.errors import InputError
from cbir.training import losses

Mining = Literal["random", "semi-hard", "batch-hard"]
Schedule = Literal["cosine", "constant"]
BatchNorm = Literal["frozen", "moving"]
MixedPrecision = Literal[False, True, "bfloat16"]

SHOWN = ("map", "anmrr")
"""Metrics of the validation that every history contains, in addition to ``training.monitor``."""


@dataclass(frozen=True)
class AugmentSettings:
    """Settings of the augmentation; 0 and False switch a variation off.

    Attributes:
        flip: mirror half of the images left to right.
        crop: the largest share of the area that a random crop removes, from 0 to below 1.
        colour: from 0 to below 1; brightness, contrast and saturation are multiplied by random factors from 1 - colour
            to 1 + colour.
    """

    flip: bool
    crop: float
    colour: float


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training; their defaults are in the schema of the configuration.

    Attributes:
        loss: an entry of `cbir.training.losses`, or several with weights or options, see `cbir.training.losses.asked`.
        mining: how the triplet loss chooses the triplets of a batch.
        margin: margin of the triplet loss, in squared distances.
        normalise: scale embeddings to length 1 in the loss and in the search of the validation.
        batch_norm: ``moving`` normalises with the statistics of each batch and updates the moving statistics;
            ``frozen`` normalises with the moving statistics and does not change them. Scale and offset are trained
            either way.
        freeze_below: the name of a layer; the layers before it are not trained. None trains all layers.
        categories_per_batch: P; all categories if there are fewer.
        images_per_category: K; images of a smaller category are repeated.
        epochs: the largest number of epochs.
        most_images: the largest number of images in all batches of the training, which limits the epochs on large
            collections. None sets no limit.
        steps_per_epoch: batches per epoch; None for as many as show every image at least once.
        learning_rate: peak learning rate of Adam.
        schedule: ``cosine`` decreases the learning rate to 0 at the last epoch, ``constant`` keeps it.
        warmup_epochs: number of first epochs in which the learning rate rises linearly from 0.
        patience: number of epochs without a better validation after which the training stops.
        monitor: the metric of the validation, see `cbir.evaluation.metrics`; the weights of its best epoch are kept.
        mixed_precision: True computes in float16, for GPUs, and ``bfloat16`` in bfloat16, for processors with
            instructions for it; weights are kept in float32.
        augment: settings of the augmentation.
        seed: seed of batches and augmentation.
    """

    loss: str | dict[str, Any]
    mining: Mining
    margin: float
    normalise: bool
    batch_norm: BatchNorm
    categories_per_batch: int
    images_per_category: int
    epochs: int
    steps_per_epoch: int | None
    learning_rate: float
    schedule: Schedule
    warmup_epochs: int
    patience: int
    monitor: str
    mixed_precision: MixedPrecision
    augment: AugmentSettings
    seed: int
    # Not in the row of a training that does not use them, so that they do not change its fingerprint.
    freeze_below: str | None = None
    most_images: int | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: naming the key of a value that is not allowed.
        """
        for name in losses.asked(self.loss):
            if name not in set(losses.REGISTRY):
                raise _wrong("loss", name, "one of " + ", ".join(losses.REGISTRY))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(name, getattr(self, name), "one of " + ", ".join(map(str, choices)))
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise _wrong(name, value, f"at least {least}")
        for name in ("margin", "learning_rate"):
            if not getattr(self, name) > 0:
                raise _wrong(name, getattr(self, name), "above 0")
        if self.warmup_epochs >= self.epochs:
            raise _wrong("warmup_epochs", self.warmup_epochs, f"below epochs, {self.epochs}")
        for name in ("crop", "colour"):
            if not 0 <= getattr(self.augment, name) < 1:
                raise _wrong(f"augment.{name}", getattr(self.augment, name), "from 0 to below 1")

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "TrainingSettings":
        """Make settings from the key ``training`` of an encoder in the complete configuration.

        Raises:
            InputError: when a key is unknown or a value is not allowed.
            TypeError: when a key is missing.
        """
        values = dict(row)
        _refuse_unknown(values, cls, "")
        _refuse_unknown(values["augment"], AugmentSettings, "augment.")
        return cls(**values | {"augment": AugmentSettings(**values["augment"])})

    def within_most_images(self, images: int) -> "TrainingSettings":
        """Return settings with at most as many epochs of ``images`` images as ``most_images`` allows, at least 1."""
        if self.most_images is None:
            return self
        epochs = min(self.epochs, max(1, self.most_images // images))
        return replace(self, epochs=epochs, warmup_epochs=min(self.warmup_epochs, epochs - 1))


_CHOICES = {
    "mining": get_args(Mining),
    "schedule": get_args(Schedule),
    "monitor": METRICS,
    "batch_norm": get_args(BatchNorm),
    "mixed_precision": get_args(MixedPrecision),
}
_AT_LEAST = {
    "categories_per_batch": 2,
    "images_per_category": 2,
    "epochs": 1,
    "most_images": 1,
    "steps_per_epoch": 1,
    "warmup_epochs": 0,
    "patience": 1,
    "seed": 0,
}


def _wrong(key: str, value: object, expected: str) -> InputError:
    return InputError(f"training.{key} is {value!r}: make it {expected}.")


def _refuse_unknown(row: Mapping[str, Any], kind: type, prefix: str) -> None:
    known = [item.name for item in fields(kind)]
    for key in row:
        if key not in known:
            raise InputError(f"training.{prefix}{key} is not a setting: use one of {', '.join(known)}.")
