"""Keras archives (.keras): the same network gives the same bytes, and what is inside is read without loading it."""

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
    """Save a `keras.Model`, whole or not at all.

    Keras writes the date and memory addresses into an archive. They are left out, so that two runs can be compared.
    """
    with atomic(path, size=5 * model.count_params()) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary) as archive:
            metadata = json.loads(archive.read("metadata.json"))
            weights = archive.read("model.weights.h5")
        metadata.pop("date_saved", None)
        with zipfile.ZipFile(temporary, "w") as archive:
            # A ZipInfo that is made from a name alone has a fixed date.
            archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(metadata))
            archive.writestr(zipfile.ZipInfo("config.json"), model.to_json())
            archive.writestr(zipfile.ZipInfo("model.weights.h5"), weights)


@dataclass(frozen=True)
class Archive:
    """What a Keras archive holds.

    Attributes:
        architecture: the model's configuration as JSON text.
        metadata: such as ``keras_version``.
        layers: name and class of each layer.
        weights: float32 arrays of each layer, see `read_weights`.
        data: the bytes of the weights file in it.
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
    """Read what `save` wrote, as `unpack` does.

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
    """Read a Keras archive; no network is built from it, so no code in it can run, and no layer can claim memory.

    Args:
        path: the archive, by `save` or by Keras.
        shapes: what the shapes of all weights must be, in Keras's order; None admits any.

    Raises:
        Exception: nearly any, when the file is missing or damaged, or holds weights of other shapes.
    """
    require_plain(path)
    with zipfile.ZipFile(path) as archive:
        architecture = archive.read("config.json").decode()
        metadata = json.loads(archive.read("metadata.json"))
        data = archive.read("model.weights.h5")
    # An operation such as `keras.ops.flip` has its name beside its configuration, where a layer has it, too.
    layers = [
        (layer.get("name", layer["config"].get("name")), layer["class_name"])
        for layer in json.loads(architecture)["config"]["layers"]
    ]
    weights = read_weights(data, [kind for _, kind in layers], shapes)
    return Archive(architecture, metadata, layers, weights, data)


def require_plain(path: str | Path) -> None:
    """Refuse a ZIP archive whose members take more than their bytes in the file; Keras and NumPy compress nothing.

    Raises:
        ValueError: when a member is compressed or shares its bytes with another, or it is no regular file.
        OSError, zipfile.BadZipFile: when it is missing or no archive.
    """
    # A device may have no end.
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
    """Read the weights of each layer from what Keras calls a ``.weights.h5`` file.

    Args:
        source: the file, or its bytes.
        classes: the class of each layer of the network, such as ``Conv2D``, in Keras's order.
        shapes: what the shapes of all weights must be, in Keras's order; None admits any.

    Returns:
        A list for each layer: its own weights in Keras's order, then those of the layers within it, by their names in
        the file. Whole numbers, which count, become float32.

    Raises:
        ValueError: when they are missing, of other shapes, or not stored as Keras stores them.
        OSError: when it is no HDF5 file.
    """
    with opened(source) as file:
        found = [_datasets(file, place) for place in _groups(classes)]
        require_shapes([array for arrays in found for array in arrays], shapes)
        # Layers may share one dataset, and each reads a copy: the copies together may be larger than the file.
        if sum(array.nbytes for arrays in found for array in arrays) > file.id.get_filesize():
            raise ValueError("its weights claim more bytes than the file has")
        return [[array[()].astype(np.float32, copy=False) for array in arrays] for arrays in found]


def has_nested_layers(source: str | Path | bytes) -> bool:
    """Tell whether a layer of what `read_weights` reads has weights in layers within it.

    The order of such weights in the file is none that Keras's `set_weights` takes.
    """
    with opened(source) as file:
        layers = group(file, "layers")
        return any(
            within != "vars" and _weights_below(group(group(layers, name), within))
            for name in layers
            for within in group(layers, name)
        )


def require_shapes(found: Sequence[h5py.Dataset], shapes: Shapes | None) -> None:
    """Refuse weights of other shapes than a network has, before they are read.

    Raises:
        ValueError: when there is another number of them, or one has another shape.
    """
    if shapes is None:
        return
    if len(found) != len(shapes):
        raise ValueError(f"it holds {len(found)} weights, and the network has {len(shapes)}")
    # Layers within layers stand in another order, see `has_nested_layers`.
    if sorted(array.shape for array in found) == sorted(map(tuple, shapes)):
        return
    for array, shape in zip(found, shapes, strict=True):
        if array.shape != tuple(shape):
            raise ValueError(f"{array.name} has the shape {array.shape}, and the network's is {tuple(shape)}")


def _groups(classes: Sequence[str]) -> list[str]:
    """Return where Keras keeps each layer's weights: by class in snake case, numbered from the second one on."""
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
    """Return the weights of a layer and of the layers within it."""
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
# The state of a generator of random numbers, which is no weight.
_STATE = np.dtype(np.uint32)


def _by_number(name: str) -> tuple[str, int]:
    """Sort names such as dense, dense_1, ..., dense_10 by their numbers."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (name, -1)
