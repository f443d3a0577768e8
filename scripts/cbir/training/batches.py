"""Batches of images for the network, made in threads; decoded images are cached if all of them fit into memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cbir.collection import images, ranges
from cbir.files.errors import InputError
from cbir.training.augmentation import augment
from cbir.training.settings import AugmentSettings

CACHE_BYTES = 1_000_000_000
"""Bytes of decoded images that are kept in memory, for each of the train and val splits."""

Targets = dict[str, NDArray[Any]]

QUEUE = 4
"""Number of batches that are made ahead; each takes some 20 MB."""


@dataclass(frozen=True)
class ImageSet:
    """The images of one split.

    Attributes:
        paths: the image files.
        labels: int64 (n,), the labels of their categories.
        sha256: hashes of the files, from the split's table.
        whites: the white of each file, see `cbir.collection.ranges.whites_of`; zeros if empty.
    """

    paths: Sequence[str]
    labels: NDArray[np.int64]
    sha256: Sequence[str]
    whites: Sequence[int] = ()


class Photographs:
    """Decoded images by position; they are cached if all of them fit into ``CACHE_BYTES``.

    Args:
        paths: the image files.
        shape: (height, width, 3) of the decoded images.
        crop: how images are brought to this size, see `cbir.collection.images.decode`.
        whites: see `ImageSet`.

    Attributes:
        failure: the error of the last file that could not be read. A backend of Keras may replace an exception that is
            raised in its threads.
    """

    def __init__(
        self,
        paths: Sequence[str],
        shape: tuple[int, int, int],
        crop: images.Crop = "squash",
        whites: Sequence[int] = (),
    ) -> None:
        self.paths, self.shape, self.crop = paths, shape, crop
        self.whites = whites or [0] * len(paths)
        self.kept = len(paths) * int(np.prod(shape)) <= CACHE_BYTES
        self.cache: dict[int, NDArray[np.uint8]] = {}
        self.failure: InputError | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        image = self.cache.get(position)
        if image is None:
            try:
                size, whites = (self.shape[1], self.shape[0]), ranges.of_one(self.whites[position])
                image = images.load(self.paths[position], size, self.crop, whites)
            except InputError as error:
                self.failure = InputError(
                    f"{self.paths[position]} could be read when the collection was made but not now ({error}): "
                    "restore it or run again without it."
                )
                raise self.failure from error
            if self.kept:
                self.cache[position] = image
        return image


class TrainingBatches(keras.utils.PyDataset):
    """The batches of one epoch: augmented images float32 (batch, height, width, 3), and the targets of the loss.

    A batch depends on seed, epoch and its number alone, so threads may make batches in any order.

    Args:
        photographs: images of the train split.
        labels: int64 (n,).
        batches: positions of images, int64 (steps, batch), see `cbir.training.sampler.epoch_batches`.
        augment_settings: settings of the augmentation.
        targets: returns the targets of a batch for its labels and a random generator, see
            `cbir.training.losses._loss.Loss.targets`.
        seed: seed of the training.
        epoch: number of the epoch, from 1.
        workers: number of threads.
    """

    def __init__(
        self,
        photographs: Photographs,
        labels: NDArray[np.int64],
        batches: NDArray[np.int64],
        augment_settings: AugmentSettings,
        targets: Callable[[NDArray[np.int64], np.random.Generator], Targets],
        seed: int,
        epoch: int,
        workers: int,
    ) -> None:
        super().__init__(workers=workers, max_queue_size=QUEUE)
        self.photographs, self.labels, self.batches = photographs, labels, batches
        self.augment_settings, self.targets, self.seed, self.epoch = augment_settings, targets, seed, epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], Targets]:
        generator = np.random.default_rng([self.seed, self.epoch, 1, step])
        chosen = self.batches[step]
        varied = [augment(self.photographs[i], self.augment_settings, generator) for i in chosen]
        return np.stack(varied).astype(np.float32), self.targets(self.labels[chosen], generator)


class PlainBatches(keras.utils.PyDataset):
    """Batches of unchanged images in order, float32 (batch, height, width, 3), for inference.

    Args:
        photographs: images of any split.
        batch: images per batch.
        workers: number of threads.
    """

    def __init__(self, photographs: Photographs, batch: int, workers: int) -> None:
        super().__init__(workers=workers, max_queue_size=QUEUE)
        self.photographs, self.batch = photographs, batch

    def __len__(self) -> int:
        return -(-len(self.photographs) // self.batch)

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32]]:
        positions = range(number * self.batch, min((number + 1) * self.batch, len(self.photographs)))
        return (np.stack([self.photographs[i] for i in positions]).astype(np.float32),)


def identity(*sets: ImageSet) -> list[Any]:
    """Return the contents, labels and, if there are any, whites of image sets in order, for a fingerprint."""
    return [[list(one.sha256), one.labels.tolist(), *([list(one.whites)] if any(one.whites) else [])] for one in sets]
