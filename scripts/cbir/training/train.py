"""Train an encoder epoch by epoch, with a checkpoint after each, so that it can be interrupted and resumed."""

import hashlib
import logging
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.encoders.options import Options
from cbir.evaluation import measure
from cbir.evaluation.metrics import REGISTRY as METRICS
from cbir.evaluation.validation import retrieval_quality
from cbir.files import hashes, tables
from cbir.files.errors import InputError
from cbir.files.progress import Progress
from cbir.training import checkpoint, collapse, objective
from cbir.training.batches import ImageSet, Photographs, PlainBatches, TrainingBatches, identity
from cbir.training.model import TrainingModel, frozen_below, half_precision_twin
from cbir.training.sampler import epoch_batches
from cbir.training.settings import SHOWN, TrainingSettings

log = logging.getLogger("cbir")

EMBED_BATCH = 64
CHECKPOINT = "checkpoint.npz"
_NONE = Options()
HISTORY = "history.csv"


def train(
    encoder: Any,
    train_set: ImageSet,
    val_set: ImageSet,
    settings: TrainingSettings,
    folder: Path,
    workers: int = 1,
    k: int | None = None,
    options: Options = _NONE,
) -> pd.DataFrame:
    """Train ``encoder`` in place; at the end it has the weights of the epoch with the best validation.

    In the validation after every epoch, the val images are the queries and the train images the gallery. Then
    ``checkpoint.npz`` and ``history.csv`` are written to ``folder``. A training that finds its own checkpoint there
    continues after that epoch, and ends with the same weights as an uninterrupted one.

    The history has a row per epoch; epoch 0 is the state before training. Its columns are: epoch; images (number of
    images in all batches so far); loss; active (share of the active terms of the loss, such as triplets); spread (of
    the embeddings); map; anmrr; the monitor if it is another metric; best (1 for the epoch whose weights are kept).

    Args:
        encoder: a functional `keras.Model` with its initial weights.
        train_set: images to train on, and the gallery of the validation.
        val_set: queries of the validation.
        settings: of the training.
        folder: folder of checkpoint and history.
        workers: number of threads that decode and augment images.
        k: number of results that metrics at k look at; may be None if the monitor does not depend on it.
        options: of the encoder; its ``crop`` says how images are brought to the network's size.

    Returns:
        The history.

    Raises:
        InputError: when there are too few images, an image cannot be read, or the embedding collapses.
    """
    _check(train_set, val_set)
    _make_deterministic(settings.seed)
    with frozen_below(encoder, settings.freeze_below):
        trainer = _Trainer(encoder, train_set, val_set, settings, folder, workers, k, options)
        try:
            return trainer.run()
        except Exception:
            failure = trainer.train_photographs.failure or trainer.val_photographs.failure
            if failure is None:
                raise
            raise failure from None


class _Trainer:
    def __init__(
        self,
        encoder: Any,
        train_set: ImageSet,
        val_set: ImageSet,
        settings: TrainingSettings,
        folder: Path,
        workers: int,
        k: int | None,
        options: Options,
    ) -> None:
        self.k = k
        self.metrics = list(dict.fromkeys([*SHOWN, settings.monitor]))
        self.encoder, self.settings, self.folder, self.workers = encoder, settings, folder, workers
        self.train_set, self.val_set = train_set, val_set
        self.fingerprint = _fingerprint(encoder, train_set, val_set, settings, k, options)
        shape = encoder.input_shape[1:]
        self.train_photographs = Photographs(train_set.paths, shape, options.crop, train_set.whites)
        self.val_photographs = Photographs(val_set.paths, shape, options.crop, val_set.whites)
        batches = self._batches(epoch=1)
        self.steps = len(batches)
        asked, self.settings = settings.epochs, settings.within_most_images(batches.size)
        settings = self.settings
        if settings.epochs < asked:
            log.info(
                "%d epochs instead of %d: each shows %s images, and training.most_images is %s",
                *(settings.epochs, asked, f"{batches.size:,}", f"{settings.most_images:,}"),
            )
        # A loss with variables per category uses labels as indices, so it needs the largest label.
        self.objective = objective.build(settings, int(train_set.labels.max()) + 1, encoder.output_shape[-1])
        dtype = "float16" if settings.mixed_precision is True else settings.mixed_precision
        computing = half_precision_twin(encoder, dtype) if dtype else encoder
        self.model = TrainingModel(computing, self.objective, settings)
        self.optimizer = _optimizer(settings, self.steps)
        # XLA is several times slower on CPUs, and TensorFlow's XLA is not deterministic.
        jit = False if keras.config.backend() == "tensorflow" else "auto"
        self.model.compile(optimizer=self.optimizer, jit_compile=jit)
        self.optimizer.build(self.model.trainable_variables)

    def run(self) -> pd.DataFrame:
        state = self._resume() or self._begin()
        started, first = time.monotonic(), state.epoch
        while state.epoch < self.settings.epochs and state.epoch - state.best < self.settings.patience:
            figures, rate = self._epoch(state)
            self._save(state)
            left = (time.monotonic() - started) / (state.epoch - first) * (self.settings.epochs - state.epoch)
            log.info(
                "epoch %d of %d: loss %.4f, %.0f %% of its terms active, spread %.3f, %s "
                "(best: epoch %d), %.1f images a second, %.0f s left",
                *(state.epoch, self.settings.epochs, figures["loss"], 100 * figures["active"], figures["spread"]),
                *(self._measured(figures), state.best, rate, left),
            )
        if state.epoch < self.settings.epochs:
            log.info("no better validation for %d epochs: training ends", self.settings.patience)
        self.encoder.set_weights(state.best_weights)
        return _history(state)

    def _resume(self) -> checkpoint.State | None:
        state = checkpoint.load(self.folder / CHECKPOINT, self.fingerprint)
        if state is None:
            return None
        if not self._fits(state):
            log.warning(
                "%s has other metrics or arrays than this training saves: the training starts anew",
                self.folder / CHECKPOINT,
            )
            return None
        log.info("training goes on after epoch %d of %d", state.epoch, self.settings.epochs)
        self.model.encoder.set_weights(state.weights)
        self.objective.set_weights(state.objective)
        for variable, value in zip(self.optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
        tables.write_csv(self.folder / HISTORY, _history(state))
        return state

    def _fits(self, state: checkpoint.State) -> bool:
        """Return whether a checkpoint, which may be damaged or from elsewhere, has the parts that `_save` writes."""
        weights = _layout(self.model.encoder.get_weights())
        optimizer = _layout([keras.ops.convert_to_numpy(variable) for variable in self.optimizer.variables])
        figures = {"epoch", "images", "loss", "active", "spread", *map(measure.key, self.metrics)}
        return (
            _layout(state.weights) == _layout(state.best_weights) == weights
            and _layout(state.objective) == _layout(self.objective.get_weights())
            and _layout(state.optimizer) == optimizer
            and all(isinstance(row, dict) and row.keys() == figures for row in state.history)
            and all(isinstance(value, int | float) for row in state.history for value in row.values())
        )

    def _begin(self) -> checkpoint.State:
        state = checkpoint.State(self.fingerprint, best_weights=self.encoder.get_weights())
        state.history.append({"epoch": 0, "images": 0, **_UNTRAINED, **self._validate()})
        self._save(state)
        return state

    def _epoch(self, state: checkpoint.State) -> tuple[dict[str, Any], float]:
        """Train one epoch and append its row to the history; return the row and the speed in images per second."""
        epoch = state.epoch + 1
        batches = TrainingBatches(
            self.train_photographs,
            self.train_set.labels,
            self._batches(epoch),
            self.settings.augment,
            self.objective.targets,
            self.settings.seed,
            epoch,
            self.workers,
        )
        progress = _StepProgress(epoch, batches.batches.shape)
        start = time.monotonic()
        # One epoch per call of `fit`, so that no batch of the next epoch is made ahead. Without shuffling by Keras,
        # because it uses global random numbers, which a resumed training cannot repeat.
        logs = self.model.fit(batches, shuffle=False, verbose=0, callbacks=[progress]).history
        seconds = time.monotonic() - start
        figures = {name: float(logs[name][-1]) for name in ("loss", "active", "spread")}
        state.stuck = collapse.check(
            figures["loss"],
            figures["spread"],
            state.stuck,
            self.steps,
            epoch,
            self.settings.learning_rate,
            self.objective,
        )
        row = {
            "epoch": epoch,
            "images": state.history[-1]["images"] + batches.batches.size,
            **figures,
            **self._validate(),
        }
        state.history.append(row)
        if self._better(row, state.history[state.best]):
            state.best, state.best_weights = epoch, self.model.encoder.get_weights()
        return row, batches.batches.size / seconds

    def _validate(self) -> dict[str, float]:
        gallery, queries = self._embed(self.train_photographs), self._embed(self.val_photographs)
        return retrieval_quality(queries, self.val_set.labels, gallery, self.train_set.labels, self.metrics, self.k)

    def _measured(self, row: dict[str, Any]) -> str:
        return ", ".join(f"{METRICS[name].NAME.format(k=self.k)} {row[measure.key(name)]:.4f}" for name in self.metrics)

    def _embed(self, photographs: Photographs) -> NDArray[np.float32]:
        batches = PlainBatches(photographs, EMBED_BATCH, self.workers)
        embeddings: NDArray[np.float32] = self.model.predict(batches, verbose=0)
        # JAX pads the last batch and returns the padding, too.
        return embeddings[: len(photographs)]

    def _better(self, row: dict[str, Any], best: dict[str, Any]) -> bool:
        monitor = self.settings.monitor
        value, so_far = row[measure.key(monitor)], best[measure.key(monitor)]
        return bool(value > so_far if METRICS[monitor].HIGHER_IS_BETTER else value < so_far)

    def _batches(self, epoch: int) -> NDArray[np.int64]:
        choice = self.settings
        return epoch_batches(
            self.train_set.labels,
            choice.categories_per_batch,
            choice.images_per_category,
            choice.seed,
            epoch,
            choice.steps_per_epoch,
        )

    def _save(self, state: checkpoint.State) -> None:
        state.weights = self.model.encoder.get_weights()
        state.objective = self.objective.get_weights()
        state.optimizer = [keras.ops.convert_to_numpy(variable) for variable in self.optimizer.variables]
        tables.write_csv(self.folder / HISTORY, _history(state))
        checkpoint.save(self.folder / CHECKPOINT, state)


def _layout(arrays: list[NDArray[Any]]) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    return [(array.shape, array.dtype) for array in arrays]


# Epoch 0 has no loss, because nothing has been trained.
_UNTRAINED = {"loss": math.nan, "active": math.nan, "spread": math.nan}


class _StepProgress(keras.callbacks.Callback):
    """Log the progress of long epochs."""

    def __init__(self, epoch: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.batch = shape[1]
        self.progress = Progress(f"epoch {epoch}, images", shape[0] * shape[1], every=30)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.progress.advance(self.batch)


def _check(train_set: ImageSet, val_set: ImageSet) -> None:
    if len(np.unique(train_set.labels)) < 2:
        raise InputError("The train split has fewer than 2 categories, so there are no triplets: add another category.")
    if not np.isin(val_set.labels, train_set.labels).any():
        raise InputError(
            "The val split has no image of a category of the train split to validate with: raise split.val."
        )


def _make_deterministic(seed: int) -> None:
    keras.utils.set_random_seed(seed)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def _optimizer(settings: TrainingSettings, steps: int) -> Any:
    adam = keras.optimizers.Adam(_rate(settings, steps))
    return keras.optimizers.LossScaleOptimizer(adam) if settings.mixed_precision is True else adam


def _rate(settings: TrainingSettings, steps: int) -> Any:
    """Return the schedule of the learning rate over steps from 0; an epoch has ``steps`` steps."""
    warmup = settings.warmup_epochs * steps
    peak = float(settings.learning_rate)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak,
        settings.epochs * steps - warmup,
        # The share of the peak rate that is reached at the end.
        alpha=1.0 if settings.schedule == "constant" else 0.0,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )


def _history(state: checkpoint.State) -> pd.DataFrame:
    table = pd.DataFrame(state.history)
    table["best"] = (table["epoch"] == state.best).astype(int)
    return table


def _fingerprint(
    encoder: Any, train_set: ImageSet, val_set: ImageSet, settings: TrainingSettings, k: int | None, options: Options
) -> str:
    """Return the hash that a checkpoint must have to be resumed."""
    weights = hashlib.sha256()
    for array in encoder.get_weights():
        weights.update(array.tobytes())
    # Size and pooling do not change the weights of a network. The option `flip` is not used in training.
    view = [encoder.input_shape[1:], replace(options, flip=False).given()]
    versions = [keras.config.backend(), keras.__version__, np.__version__]
    return hashes.sha256_json([asdict(settings), identity(train_set, val_set), weights.hexdigest(), versions, k, view])
