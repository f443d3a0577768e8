"""Keras archives (.keras): the same network gives the same bytes, and what is inside is read without loading it."""

import hashlib
import json
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.errors import InputError
from cbir.files import atomic
from cbir.hdf5 import dataset, opened


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
            # A ZipInfo made by name alone bears a fixed date.
            archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(metadata))
            archive.writestr(zipfile.ZipInfo("config.json"), model.to_json())
            archive.writestr(zipfile.ZipInfo("model.weights.h5"), weights)


def require_unpacked(path: str | Path) -> None:
    """Refuse an archive that unfolds to more than the file has; Keras compresses nothing, and unfolds in memory.

    Raises:
        ValueError: when it does, or is no regular file.
        OSError, zipfile.BadZipFile: when it is missing or no archive.
    """
    # A device may have no end.
    if not Path(path).is_file():
        raise ValueError("it is no file")
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > Path(path).stat().st_size:
            raise ValueError("it claims more bytes than the file has")


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
        """Return what `cbir.weights.fingerprint` returns for the loaded network."""
        digest = hashlib.sha256(self.architecture.encode())
        for arrays in self.weights:
            for array in arrays:
                digest.update(array.tobytes())
        return digest.hexdigest()


def read(path: str | Path) -> Archive:
    """Read what `save` wrote; no network is built, so no code in it can run.

    Raises:
        InputError: when the file is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"The network {path} does not exist: run the workflow first.")
    try:
        require_unpacked(path)
        with zipfile.ZipFile(path) as archive:
            architecture = archive.read("config.json").decode()
            metadata = json.loads(archive.read("metadata.json"))
            data = archive.read("model.weights.h5")
        layers = [
            (layer["config"]["name"], layer["class_name"]) for layer in json.loads(architecture)["config"]["layers"]
        ]
        with opened(data) as file:
            weights = [_arrays(file, group) for group in _groups([kind for _, kind in layers])]
    # A damaged archive raises nearly anything.
    except Exception as error:
        raise InputError(f"The network {path} is damaged ({error}): remove it and run again.") from error
    return Archive(architecture, metadata, layers, weights)


def _groups(classes: list[str]) -> list[str]:
    """Return where Keras keeps each layer's weights: by class in snake case, numbered from the second one on."""
    seen: Counter[str] = Counter()
    groups = []
    for name in classes:
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
        groups.append(f"layers/{snake}_{seen[snake]}" if seen[snake] else f"layers/{snake}")
        seen[snake] += 1
    return groups


def _arrays(file: h5py.File, group: str) -> list[NDArray[np.float32]]:
    place: Any = file
    for name in [*group.split("/"), "vars"]:
        if not isinstance(place.get(name, getlink=True), h5py.HardLink):
            return []
        place = place[name]
    return [_array(place, str(number)) for number in range(len(place))]


def _array(group: h5py.Group, name: str) -> NDArray[np.float32]:
    try:
        found = dataset(group, name)
    except ValueError as error:
        raise ValueError(f"{group.name} holds no weights: {error}") from None
    return np.ascontiguousarray(found[()], np.float32)
