"""First weights of networks: published ones, and those in a person's file."""

import hashlib
from pathlib import Path

import h5py
import keras
import numpy as np

from cbir.encoders import architectures
from cbir.files import archive, hdf5
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json


def fetch(architecture: str, source: str, path: str | Path) -> str:
    """Write the published weights of an architecture to a file.

    Wherever they come from, they are used only if they are the published weights.

    Args:
        architecture: an entry of `cbir.encoders.architectures`.
        source: one of its ``SOURCES``.
        path: the file (.keras); where the weights came from is written beside it (.json).

    Returns:
        Where they came from.

    Raises:
        InputError: when they cannot be had.
    """
    entry = architectures.REGISTRY.get_entry(architecture)
    model = entry.build(entry.SIZE)
    served_by = str(entry.download(source, model))
    if digest(model) != entry.SOURCES[source]:
        raise InputError(f"The weights in {served_by} are not those that were published: do not use this copy.")
    archive.save(model, path)
    about = {"architecture": architecture, "weights": source, "source": served_by, "sha256": sha256_file(path)}
    write_json(Path(path).with_suffix(".json"), about)
    return served_by


def load_fetched(model: keras.Model, path: str | Path, expected: str) -> str:
    """Load what `fetch` wrote into a network of the same architecture; return where the weights came from.

    Args:
        model: the network.
        path: the file.
        expected: the SHA-256 over the published weights, see `digest`.

    Raises:
        InputError: when a file is missing or damaged, or the weights are not the published ones.
    """
    side = Path(path).with_suffix(".json")
    about = read_json(side, {"source": str})
    load(model, path)
    if digest(model) != expected:
        raise InputError(
            f"The weights file {path} is not the one that {side} describes, the published weights: "
            "remove both and run again."
        )
    return str(about["source"])


def fingerprint(model: keras.Model) -> str:
    """Return the SHA-256 over architecture (JSON configuration) and all weights (float32, in order)."""
    return digest(model, model.to_json())


def digest(model: keras.Model, architecture: str = "") -> str:
    """Return the SHA-256 over all weights of a network (float32, in order), after a text that describes it."""
    found = hashlib.sha256(architecture.encode())
    for weight in model.get_weights():
        found.update(np.ascontiguousarray(weight, dtype=np.float32).tobytes())
    return found.hexdigest()


def load(model: keras.Model, path: str | Path) -> None:
    """Load all of a model's weights from a file: Keras 3 (``.weights.h5``, ``.keras``) or older HDF5 (``.h5``).

    Raises:
        InputError: when the file is missing or damaged or does not hold every weight of the model.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"The weights file {path} does not exist: correct the encoder's weights in the config.")
    try:
        if path.name.endswith(".keras"):
            layers = archive.unpack(path, shapes(model)).weights
        elif path.name.endswith(".weights.h5"):
            layers = archive.read_weights(path, [type(layer).__name__ for layer in model.layers], shapes(model))
        else:
            layers = [_by_name(model, path)]
        model.set_weights([array for arrays in layers for array in arrays])
    except InputError:
        raise
    # h5py raises many kinds on a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The weights file {path} does not fit the network ({reason}): give a fitting one.") from error


def shapes(model: keras.Model) -> list[tuple[int, ...]]:
    """Return the shapes of all weights of a network, in Keras's order."""
    return [tuple(weight.shape) for weight in model.weights]


def _by_name(model: keras.Model, path: Path) -> list[np.ndarray]:
    """Read all weights from an older file, which keeps them below the names of the layers."""
    with hdf5.opened(path) as file:
        whole = file.get("model_weights", getlink=True) is not None
        root = hdf5.group(file, "model_weights") if whole else file
        found: list[h5py.Dataset] = []
        missing = []
        for layer in model.layers:
            try:
                found += [_older(root, layer.name, weight.name) for weight in layer.weights]
            except ValueError:
                missing.append(layer.name)
        if missing:
            raise InputError(
                f"The weights file {path} lacks {len(missing)} layers such as {missing[0]}: give a fitting one."
            )
        archive.require_shapes(found, shapes(model))
        return [array[()] for array in found]


def _older(root: h5py.Group, layer: str, weight: str) -> h5py.Dataset:
    """Return a weight: layer/layer/name, as Keras 3 calls it, or as Keras 2 did."""
    holder = hdf5.group(hdf5.group(root, layer), layer)
    names = (f"{weight}:0", f"depthwise_{weight}:0")
    name = next((name for name in names if holder.get(name, getlink=True) is not None), weight)
    return hdf5.dataset(holder, name, np.float32, *range(5))
