"""Images as the network takes them: decoded once where memory allows, then batch by batch in threads."""

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

CACHE_BYTES = (
    1_000_000_000  # Bytes of decoded images that are kept in memory, for the train and for the validation split each.
)
Targets = dict[str, NDArray[Any]]

QUEUE = 4  # Batches made ahead, each of some 20 MB.


@dataclass(frozen=True)
class ImageSet:
    """The images of one split.

    Attributes:
        paths: their files.
        labels: int64 (n,), the categories.
        sha256: of their files, as in the split's manifest.
        whites: which value of each file is white, see `cbir.collection.ranges.whites_of`; zeros if empty.
    """

    paths: Sequence[str]
    labels: NDArray[np.int64]
    sha256: Sequence[str]
    whites: Sequence[int] = ()


class Photographs:
    """Decoded images by position, kept once decoded if all of them fit into ``CACHE_BYTES``.

    Args:
        paths: the files.
        shape: (height, width, 3) to which they are brought.
        crop: how, see `cbir.collection.images.decode`.
        whites: see `ImageSet`.

    Attributes:
        failure: the last file that could not be read. It is kept, because a backend that reads in threads of its own
            reports its own error instead.
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
    """The batches of one epoch: varied images, with the targets that the loss takes.

    Each batch depends on seed, epoch and its number alone, so threads may make them in any order.

    Args:
        photographs: of the train split.
        labels: int64 (n,).
        batches: positions (steps, batch), see `cbir.training.sampler.epoch_batches`.
        augment_settings: how images are varied.
        targets: makes a batch's targets from its labels and a random generator, see
            `cbir.training.losses._loss.Loss.targets`.
        seed: of the whole training.
        epoch: its number.
        workers: threads.
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
    """Images as they are, in order, to be embedded.

    Args:
        photographs: of any split.
        batch: images a batch.
        workers: threads.
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
    """Return what tells image sets apart: contents and labels, in order, and whites where there are some."""
    return [[list(one.sha256), one.labels.tolist(), *([list(one.whites)] if any(one.whites) else [])] for one in sets]
