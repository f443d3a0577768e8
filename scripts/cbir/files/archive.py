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
from cbir.files.hdf5 import dataset, group, opened

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
        weights: float32 arrays of each layer, in Keras's order.
    """

    architecture: str
    metadata: dict[str, Any]
    layers: list[tuple[str, str]]
    weights: list[list[NDArray[np.float32]]]

    def fingerprint(self) -> str:
        """Return what `cbir.encoders.weights.fingerprint` returns for the loaded network."""
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
    layers = [(layer["config"]["name"], layer["class_name"]) for layer in json.loads(architecture)["config"]["layers"]]
    weights = read_weights(data, [kind for _, kind in layers], shapes)
    return Archive(architecture, metadata, layers, weights)


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
        return [[array[()] for array in arrays] for arrays in found]


def require_shapes(found: Sequence[h5py.Dataset], shapes: Shapes | None) -> None:
    """Refuse weights of other shapes than a network has, before they are read.

    Raises:
        ValueError: when there is another number of them, or one has another shape.
    """
    if shapes is None:
        return
    if len(found) != len(shapes):
        raise ValueError(f"it holds {len(found)} weights, and the network has {len(shapes)}")
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
    # Not every version of Keras keeps an empty group for a layer without weights.
    place = group(file, "layers")
    for name in (layer, "vars"):
        if place.get(name, getlink=True) is None:
            return []
        place = group(place, name)
    return [dataset(place, str(number), np.float32, *range(5)) for number in range(len(place))]
