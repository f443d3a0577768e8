"""The choices of one training, as a person writes them in the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from cbir.evaluation.metrics import REGISTRY as METRICS
from cbir.files.errors import InputError
from cbir.training import losses

Mining = Literal["random", "semi-hard", "batch-hard"]
Schedule = Literal["cosine", "constant"]
BatchNorm = Literal["frozen", "moving"]

SHOWN = ("map", "anmrr")
"""Metrics of the validation that every history shows, beside the one that decides (``training.monitor``)."""


@dataclass(frozen=True)
class AugmentSettings:
    """How training images are varied; 0 and False leave them as they are.

    Attributes:
        flip: mirror half of the images left to right.
        crop: the largest share of the area that a random crop cuts away, from 0 to below 1.
        colour: brightness, contrast and saturation are each multiplied by 1 - colour to 1 + colour, from 0 to below 1.
    """

    flip: bool = True
    crop: float = 0.3
    colour: float = 0.2


@dataclass(frozen=True)
class TrainingSettings:
    """One training.

    Attributes:
        loss: an entry of `cbir.training.losses`.
        mining: how the triplet loss chooses triplets within a batch.
        margin: of the triplet loss, in squared distances.
        normalise: scale embeddings to length 1 in the loss and in the validation's search.
        batch_norm: ``moving`` normalises by each batch's statistics and lets the moving ones follow; ``frozen``
            normalises by the moving ones as they are (scale and offset are trained either way).
        freeze_below: the name of a layer; those before it in the order of the network are not trained. None trains all.
        categories_per_batch: P; fewer where the collection has fewer.
        images_per_category: K; where a category has fewer images they repeat.
        epochs: at most this many.
        steps_per_epoch: batches an epoch; None for as many as show every image at least once.
        learning_rate: Adam's, at its peak.
        schedule: ``cosine`` falls to 0 at the last epoch, ``constant`` stays.
        warmup_epochs: over which the rate rises from 0 before.
        patience: epochs without a better validation after which training stops.
        monitor: the metric (of `cbir.evaluation.metrics`) of a validation whose best epoch is the result.
        mixed_precision: compute in float16 and keep weights in float32; for GPUs.
        augment: how training images are varied.
        seed: of batches and augmentation.
    """

    loss: str = "triplet"
    mining: Mining = "batch-hard"
    margin: float = 0.2
    normalise: bool = True
    batch_norm: BatchNorm = "frozen"
    freeze_below: str | None = None
    categories_per_batch: int = 8
    images_per_category: int = 4
    epochs: int = 10
    steps_per_epoch: int | None = None
    learning_rate: float = 5e-5
    schedule: Schedule = "cosine"
    warmup_epochs: int = 0
    patience: int = 3
    monitor: str = "anmrr"
    mixed_precision: bool = False
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            InputError: naming the key.
        """
        for name, choices in ({"loss": tuple(losses.REGISTRY)} | _CHOICES).items():
            if getattr(self, name) not in choices:
                raise _wrong(name, getattr(self, name), "one of " + ", ".join(choices))
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
        """Make settings from a row of the configuration; a key left out takes its default.

        Raises:
            InputError: when a key is unknown or a value cannot be trained with.
        """
        values = dict(row)
        _refuse_unknown(values, cls, "")
        if "augment" in values:
            augment = dict(values["augment"])
            _refuse_unknown(augment, AugmentSettings, "augment.")
            values["augment"] = AugmentSettings(**augment)
        return cls(**values)


_CHOICES = {
    "mining": get_args(Mining),
    "schedule": get_args(Schedule),
    "monitor": METRICS,
    "batch_norm": get_args(BatchNorm),
}
_AT_LEAST = {
    "categories_per_batch": 2,
    "images_per_category": 2,
    "epochs": 1,
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
