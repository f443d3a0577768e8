"""Feature stores: one HDF5 file of a method's vectors for one split."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.features import blocks
from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import attributes, dataset, opened, texts, write_attributes, write_texts
from cbir.files.versions import version

_ABOUT = (
    *("method", "split", "manifest_sha256", "encoder", "encoder_fingerprint", "weights", "weights_fingerprint"),
    *("preprocessing", "preprocessing_fingerprint", "normalise", "runtime", "precision"),
    *("row", "chosen", "transform_fingerprint", "parts"),
    *("dimension", "features_sha256", "libraries"),
)
"""All attributes that a store may have; readers ignore others."""

_LIBRARIES = ("numpy", "h5py", "pillow", "keras", "tensorflow", "ai-edge-litert")


@dataclass(frozen=True)
class FeatureStore:
    """A feature store in memory, with a row per image.

    Attributes:
        features: (n, d) float32.
        image_id: (n,) text.
        label: (n,) int64.
        sha256: (n,) text, the hashes of the image files.
        about: the attributes of the file, which say what it was made from; ``features_sha256`` is the hash of the
            vectors.
    """

    features: NDArray[np.float32]
    image_id: NDArray[np.object_]
    label: NDArray[np.int64]
    sha256: NDArray[np.object_]
    about: dict[str, Any] = field(default_factory=dict)

    def rows(self, chosen: NDArray[np.int64]) -> "FeatureStore":
        """Return a store of some rows, which says of itself what this one says."""
        return replace(
            self,
            **{name: getattr(self, name)[chosen] for name in ("features", "image_id", "label", "sha256")},
        )

    def row(self, image_id: str) -> int:
        """Return the row of an image.

        Raises:
            InputError: when the store does not hold it.
        """
        rows = np.flatnonzero(self.image_id == image_id)
        if len(rows) == 0:
            raise InputError(f"The image {image_id!r} is not in this feature store: check the name.")
        return int(rows[0])


def write(
    path: str | Path,
    manifest: pd.DataFrame,
    blocks: Iterable[NDArray[np.float32]],
    dimension: int,
    about: dict[str, Any],
) -> None:
    """Write a feature store block by block.

    Args:
        path: the HDF5 file.
        manifest: columns image_id, label, sha256; row order is kept.
        blocks: arrays (any number of rows, dimension) float32, together one row per row of the manifest.
        dimension: length of a vector.
        about: attributes to store, whose names must be in `_ABOUT`; dictionaries and lists are stored as JSON.

    Raises:
        InputError: when a value is not finite.
        ValueError: when the blocks do not fill the rows, or an attribute is not in `_ABOUT`.
    """
    if strange := about.keys() - _ABOUT:
        raise ValueError(f"the attribute {min(strange)!r} would not be read: add it to _ABOUT")
    digest = hashlib.sha256()
    # All names take as many bytes as the longest one. The hash takes 64 bytes and the label 8.
    longest = max((len(name.encode()) for name in manifest["image_id"]), default=0)
    size = len(manifest) * (4 * dimension + longest + 72) + HDF5_OVERHEAD
    with atomic(path, size) as temporary, h5py.File(temporary, "w") as file:
        features = file.create_dataset("features", (len(manifest), dimension), np.float32)
        row = 0
        for block in blocks:
            if not np.isfinite(block).all():
                bad = manifest["image_id"].iloc[row + int(np.argmax(~np.isfinite(block).all(axis=1)))]
                raise InputError(f"The features of {bad} are not finite: check the encoder and the transforms.")
            block = np.ascontiguousarray(block, np.float32)
            features[row : row + len(block)] = block
            digest.update(block.data)
            row += len(block)
        if row != len(manifest):
            raise ValueError(f"{row} feature rows for {len(manifest)} manifest rows")
        write_texts(file, "image_id", list(manifest["image_id"]))
        file.create_dataset("label", data=manifest["label"].to_numpy(np.int64))
        write_texts(file, "sha256", list(manifest["sha256"]))
        about = {**about, "dimension": dimension, "features_sha256": digest.hexdigest(), "libraries": _versions()}
        plain = {
            key: json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
            for key, value in about.items()
        }
        write_attributes(file, plain)


def _versions() -> dict[str, str]:
    found = {name: version(name) for name in _LIBRARIES}
    return {name: installed for name, installed in found.items() if installed is not None}


def read(
    path: str | Path, method: str | None = None, mapped: bool = False, checked: bool | None = None
) -> FeatureStore:
    """Read a feature store into memory.

    Args:
        path: the HDF5 file.
        method: the method that the store must belong to; None accepts any.
        mapped: return the vectors as a memory-mapped array.
        checked: whether all vectors are read once, block by block, to check their hash and that they are finite; None:
            unless they are mapped.

    Raises:
        InputError: when the file is missing, damaged, incomplete or of another method, when a value is not finite, or
            when the hash of the vectors differs from the stored one.
    """
    with _opened(path, method) as (file, about):
        features, label = dataset(file, "features", np.float32, 2), dataset(file, "label", np.int64, 1)
        image_id, sha256 = dataset(file, "image_id", "S", 1), dataset(file, "sha256", "S", 1)
        # Checked before the texts are read, because as Python objects they take far more memory than in the file.
        if {len(label), len(image_id), len(sha256)} != {len(features)}:
            raise InputError(f"The feature store {path} has datasets of different lengths: remove it and run again.")
        vectors = _mapped(path, features) if mapped else features[:]
        store = FeatureStore(vectors, texts(image_id), label[:], texts(sha256), about)
    if not mapped if checked is None else checked:
        _check(store, path)
    return store


def read_large(path: str | Path, method: str | None = None, most: int | None = None) -> FeatureStore:
    """Read and check a feature store; of many rows the vectors stay in the file.

    Args:
        path: the HDF5 file.
        method: the method it must be of.
        most: up to so many rows are read into memory; None: `blocks.IN_MEMORY`.

    Raises:
        InputError: as `read`.
    """
    most = blocks.IN_MEMORY if most is None else most
    return read(path, method, mapped=count(path, method) > most, checked=True)


def _check(store: FeatureStore, path: str | Path) -> None:
    digest, finite = hashlib.sha256(), True
    for block in np.array_split(store.features, len(store.features) // 1024 + 1):
        digest.update(np.ascontiguousarray(block).data)
        finite = finite and bool(np.isfinite(block).all())
    if digest.hexdigest() != store.about.get("features_sha256"):
        raise InputError(f"The vectors in {path} are not those it was written with: remove it and run again.")
    if not finite:
        raise InputError(f"The feature store {path} holds values that are not finite: remove it and run again.")


def count(path: str | Path, method: str | None = None) -> int:
    """Return how many rows a feature store has, without reading them.

    Raises:
        InputError: when the file is missing or damaged, or is of another method.
    """
    with _opened(path, method) as (file, _):
        return len(dataset(file, "features", np.float32, 2))


def _mapped(path: str | Path, features: h5py.Dataset) -> NDArray[np.float32]:
    # `dataset` has checked that the values are stored contiguously and end within the file.
    if not features.size:
        return np.empty(features.shape, np.float32)
    return np.memmap(path, features.dtype, "r", features.id.get_offset(), features.shape)


def about(path: str | Path, method: str | None = None) -> dict[str, Any]:
    """Return the attributes of a feature store without reading its vectors.

    Args:
        path: the HDF5 file.
        method: the method that the store must belong to; None accepts any.

    Raises:
        InputError: when the file is missing or damaged, or is of another method.
    """
    with _opened(path, method) as (_, about):
        return about


@contextmanager
def _opened(path: str | Path, method: str | None) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """Yield the open file and its attributes; every error is raised as an InputError."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"The feature store {path} does not exist: run the workflow first.")
    try:
        with opened(path) as file:
            about = attributes(file, _ABOUT)
            if method is not None and about.get("method") != method:
                raise InputError(f"The feature store {path} is of the method {about.get('method')!r}, not {method!r}.")
            yield file, about
    except InputError:
        raise
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"The feature store {path} is damaged ({error}): remove it and run again.") from error
