"""The learning rate over the steps of a training."""

from typing import Any

import keras
import numpy as np
from keras import ops

from cbir.training.settings import Schedule


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rise linearly from 0 to ``peak`` over ``warmup`` steps, then stay, or fall to 0 along a cosine.

    Source of the cosine: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.

    Args:
        kind: ``cosine`` or ``constant``.
        peak: the highest rate.
        warmup: steps of the rise, 0 for none.
        steps: of the whole training.
    """

    def __init__(self, kind: Schedule, peak: float, warmup: int, steps: int) -> None:
        self.kind, self.peak, self.warmup, self.steps = kind, peak, warmup, steps

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rate = self.peak * ops.ones_like(step)
        if self.kind == "cosine":
            progress = ops.clip((step - self.warmup) / (self.steps - self.warmup), 0, 1)
            rate = self.peak * 0.5 * (1 + ops.cos(np.pi * progress))
        if self.warmup:
            rate = ops.where(step < self.warmup, self.peak * (step + 1) / self.warmup, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"kind": self.kind, "peak": self.peak, "warmup": self.warmup, "steps": self.steps}
