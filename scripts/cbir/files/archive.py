"""Keras archives (.keras): write them reproducibly, and read them without building the network."""

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.files.atomic import atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import dataset, dtype, group, opened

Shapes = Sequence[tuple[int, ...]]


def save(model: Any, path: str | Path) -> None:
    """Save a `keras.Model` atomically; equal networks give equal bytes.

    Keras writes the date and memory addresses into an archive, which are removed.
    """
    with atomic(path, size=5 * model.count_params()) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary) as archive:
            metadata = json.loads(archive.read("metadata.json"))
            weights = archive.read("model.weights.h5")
        metadata.pop("date_saved", None)
        with zipfile.ZipFile(temporary, "w") as archive:
            # A ZipInfo without a date has a fixed one.
            archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(metadata))
            archive.writestr(zipfile.ZipInfo("config.json"), model.to_json())
            archive.writestr(zipfile.ZipInfo("model.weights.h5"), weights)


@dataclass(frozen=True)
class Archive:
    """The content of a Keras archive.

    Attributes:
        architecture: the model's configuration as JSON text.
        metadata: a dictionary with ``keras_version`` and others.
        layers: name and class of each layer.
        weights: a list of float32 arrays for each layer, see `read_weights`.
        data: the bytes of the weights file in the archive.
    """

    architecture: str
    metadata: dict[str, Any]
    layers: list[tuple[str, str]]
    weights: list[list[NDArray[np.float32]]]
    data: bytes

    def fingerprint(self) -> str:
        """Return the SHA-256 over the architecture (JSON configuration) and all weights (float32, in order)."""
        digest = hashlib.sha256(self.architecture.encode())
        for arrays in self.weights:
            for array in arrays:
                digest.update(array.tobytes())
        return digest.hexdigest()


def read(path: str | Path) -> Archive:
    """Read an archive that `save` wrote, see `unpack`.

    Raises:
        InputError: when the file is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"The network {path} does not exist: run the workflow first.")
    try:
        return unpack(path)
    # A damaged archive may raise any type of exception.
    except Exception as error:
        raise InputError(f"The network {path} is damaged ({error}): remove it and run again.") from error


def unpack(path: str | Path, shapes: Shapes | None = None) -> Archive:
    """Read a Keras archive without building its network, so that no code in it runs and no layer allocates memory.

    Args:
        path: the archive, written by `save` or by Keras.
        shapes: the expected shapes of all weights, in Keras's order; None accepts any.

    Raises:
        Exception: of any type, when the file is missing or damaged, or has weights of other shapes.
    """
    require_plain(path)
    with zipfile.ZipFile(path) as archive:
        architecture = archive.read("config.json").decode()
        metadata = json.loads(archive.read("metadata.json"))
        data = archive.read("model.weights.h5")
    # The name of an operation such as `keras.ops.flip` is not in its configuration. A layer has its name in both
    # places.
    layers = [
        (layer.get("name", layer["config"].get("name")), layer["class_name"])
        for layer in json.loads(architecture)["config"]["layers"]
    ]
    weights = read_weights(data, [kind for _, kind in layers], shapes)
    return Archive(architecture, metadata, layers, weights, data)


def require_plain(path: str | Path) -> None:
    """Refuse a ZIP archive that may be larger in memory than on disk; Keras and NumPy write without compression.

    Raises:
        ValueError: when a member is compressed, members overlap, or the path is not a regular file.
        OSError, zipfile.BadZipFile: when the file cannot be read or is not a ZIP archive.
    """
    # Reading a device may never end.
    if not Path(path).is_file():
        raise ValueError("it is no file")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(member.file_size for member in members) > Path(path).stat().st_size:
        raise ValueError("it claims more bytes than the file has")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it holds packed members")


def read_weights(
    source: str | Path | bytes, classes: Sequence[str], shapes: Shapes | None = None
) -> list[list[NDArray[np.float32]]]:
    """Read the weights of each layer from a file that Keras calls ``.weights.h5``.

    Args:
        source: the file, or its bytes.
        classes: the class of each layer of the network, such as ``Conv2D``, in Keras's order.
        shapes: the expected shapes of all weights, in Keras's order; None accepts any.

    Returns:
        A list of float32 arrays for each layer: its own weights in Keras's order, then those of its nested layers,
        ordered by their names in the file. Integer weights, which are counters, are converted to float32.

    Raises:
        ValueError: when weights are missing, have other shapes, or are not stored as Keras stores them.
        OSError: when it is not an HDF5 file.
    """
    with opened(source) as file:
        found = [_datasets(file, place) for place in _groups(classes)]
        require_shapes([array for arrays in found for array in arrays], shapes)
        # In a crafted file several layers may link to one dataset. Their copies could fill the memory.
        if sum(array.nbytes for arrays in found for array in arrays) > file.id.get_filesize():
            raise ValueError("its weights claim more bytes than the file has")
        return [[array[()].astype(np.float32, copy=False) for array in arrays] for arrays in found]


def has_nested_layers(source: str | Path | bytes, classes: Sequence[str]) -> bool:
    """Return whether nested layers of a network have weights in a ``.weights.h5`` file.

    The order of their weights in the file differs from the order that Keras's `set_weights` expects. Arguments and
    errors are those of `read_weights`; other groups of the file are not looked at.
    """
    with opened(source) as file:
        layers = group(file, "layers")
        return any(
            within != "vars" and _weights_below(group(group(layers, name), within))
            for name in _groups(classes)
            if layers.get(name, getlink=True) is not None
            for within in group(layers, name)
        )


def require_shapes(found: Sequence[h5py.Dataset], shapes: Shapes | None) -> None:
    """Compare the shapes of stored weights with those of a network, before the weights are read.

    Raises:
        ValueError: when the number of weights or a shape differs.
    """
    if shapes is None:
        return
    if len(found) != len(shapes):
        raise ValueError(f"it holds {len(found)} weights, and the network has {len(shapes)}")
    # The order may differ, see `has_nested_layers`.
    if sorted(array.shape for array in found) == sorted(map(tuple, shapes)):
        return
    for array, shape in zip(found, shapes, strict=True):
        if array.shape != tuple(shape):
            raise ValueError(f"{array.name} has the shape {array.shape}, and the network's is {tuple(shape)}")


def _groups(classes: Sequence[str]) -> list[str]:
    """Return the group of each layer in a file of Keras: its class in snake case, numbered from the second one on."""
    seen: Counter[str] = Counter()
    groups = []
    for name in classes:
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
        groups.append(f"{snake}_{seen[snake]}" if seen[snake] else snake)
        seen[snake] += 1
    return groups


def _datasets(file: h5py.File, layer: str) -> list[h5py.Dataset]:
    layers = group(file, "layers")
    # Not every version of Keras keeps an empty group for a layer without weights.
    return [] if layers.get(layer, getlink=True) is None else _weights_below(group(layers, layer))


def _weights_below(layer: h5py.Group, seen: set[int] | None = None) -> list[h5py.Dataset]:
    """Return the datasets of a layer and of its nested layers."""
    seen = set() if seen is None else seen
    here = h5py.h5o.get_info(layer.id).addr
    if here in seen:
        raise ValueError(f"the group {layer.name} has two places")
    seen.add(here)
    found = []
    if layer.get("vars", getlink=True) is not None:
        place = group(layer, "vars")
        for name in map(str, range(len(place))):
            kind = dtype(place, name)
            if kind != _STATE:
                found.append(dataset(place, name, kind if kind in _COUNTS else np.float32, *range(5)))
    for name in sorted(layer, key=_by_number):
        if name != "vars":
            found += _weights_below(group(layer, name), seen)
    return found


_COUNTS = (np.dtype(np.int32), np.dtype(np.int64))
# The dtype of the state of a random number generator, which is not a weight.
_STATE = np.dtype(np.uint32)


def _by_number(name: str) -> tuple[str, int]:
    """Sort names such as dense, dense_1, ..., dense_10 by their numbers."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (name, -1)
