"""Initial weights of networks: published ones, and those in a user's file."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from cbir.encoders import architectures
from cbir.encoders.folding import set_weights
from cbir.files import archive, hdf5
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json


def fetch(architecture: str, source: str, path: str | Path) -> str:
    """Write the published weights of an architecture to a file.

    If the hash of the published weights is known, weights with another hash are refused.

    Args:
        architecture: an entry of `cbir.encoders.architectures`.
        source: one of its ``SOURCES``.
        path: the file (.keras); the side file (.json) says where the weights came from.

    Returns:
        A text that says where the weights came from.

    Raises:
        InputError: when the weights cannot be downloaded or have another hash.
    """
    entry = architectures.REGISTRY.get_entry(architecture)
    if hasattr(entry, "fetch"):
        model, served_by = entry.fetch()
    else:
        model = entry.build(entry.SIZE)
        served_by = str(entry.download(source, model))
    if entry.SOURCES[source] not in (None, digest(model)):
        raise InputError(f"The weights in {served_by} are not those that were published: do not use this copy.")
    archive.save(model, path)
    about = {"architecture": architecture, "weights": source, "source": served_by, "sha256": sha256_file(path)}
    write_json(Path(path).with_suffix(".json"), about)
    return served_by


def load_fetched(
    model: keras.Model,
    path: str | Path,
    expected: str | None,
    loader: Callable[[keras.Model, Path], None] | None = None,
) -> str:
    """Load what `fetch` wrote into a network of the same architecture; return where the weights came from.

    Args:
        model: the network.
        path: the file.
        expected: the SHA-256 over the published weights, see `digest`; None if it is unknown: then the file is compared
            with the checksum in its side file.
        loader: a function that loads weights from a file into a network; None for `load`.

    Raises:
        InputError: when a file is missing or damaged, or the weights are not the published ones.
    """
    side = Path(path).with_suffix(".json")
    about = read_json(side, {"source": str, "sha256": str} if expected is None else {"source": str})
    (loader or load)(model, Path(path))
    if expected not in (None, digest(model)) or (expected is None and sha256_file(path) != about["sha256"]):
        raise InputError(
            f"The weights file {path} is not the one that {side} describes, the published weights: "
            "remove both and run again."
        )
    return str(about["source"])


def digest(model: keras.Model) -> str:
    """Return the SHA-256 over all weights of a network (float32, in Keras's order)."""
    found = hashlib.sha256()
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
            held = archive.unpack(path, shapes(model))
            give(model, held.weights, held.data)
        elif path.name.endswith(".weights.h5"):
            data = path.read_bytes()
            give(model, archive.read_weights(data, _classes(model), shapes(model)), data)
        else:
            set_weights(model, _older_file(model, path))
    except InputError:
        raise
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The weights file {path} does not fit the network ({reason}): give a fitting one.") from error


def give(model: keras.Model, arrays: Sequence[Sequence[np.ndarray]], data: bytes) -> None:
    """Set the weights of a network to those of a weights file of Keras 3.

    Args:
        model: the network.
        arrays: the result of `cbir.files.archive.read_weights`.
        data: the bytes of the file.

    Raises:
        Exception: of any type, when the weights do not fit.
    """
    values = [array for layer in arrays for array in layer]
    if archive.has_nested_layers(data, _classes(model)):
        in_order = dict(zip(_order_in_file(model), values, strict=True))
        values = [in_order[place] for place in range(len(values))]
    set_weights(model, values)


def _classes(model: keras.Model) -> list[str]:
    return [type(operation).__name__ for operation in model.operations]


def _order_in_file(model: keras.Model) -> list[int]:
    """Return the positions in ``model.weights`` of the weights of a Keras file, in the order of the file.

    Keras documents neither order. Therefore each weight is filled with its position, and the positions are read from a
    file that Keras writes.
    """
    for layer in model._flatten_layers():
        # Layers of keras-hub may change their weights when they are saved.
        if not type(layer).save_own_variables.__module__.startswith("keras."):
            object.__setattr__(layer, "save_own_variables", partial(keras.layers.Layer.save_own_variables, layer))
    numbered = [np.full(weight.shape, place, weight.dtype) for place, weight in enumerate(model.weights)]
    model.set_weights(numbered)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.weights.h5"
        model.save_weights(path)
        found = archive.read_weights(path, _classes(model))
    for layer in model._flatten_layers():
        vars(layer).pop("save_own_variables", None)
    return [int(array.flat[0]) for layer in found for array in layer]


def shapes(model: keras.Model) -> list[tuple[int, ...]]:
    """Return the shapes of all weights of a network, in Keras's order."""
    return [tuple(weight.shape) for weight in model.weights]


def _older_file(model: keras.Model, path: Path) -> list[np.ndarray]:
    """Read all weights from an HDF5 file of Keras 2, which groups them by the names of the layers."""
    with hdf5.opened(path) as file:
        whole = file.get("model_weights", getlink=True) is not None
        root = hdf5.group(file, "model_weights") if whole else file
        with_weights = [layer for layer in model.layers if layer.weights]
        try:
            found = [weight for layer in with_weights for weight in _by_name(root, layer)]
        except ValueError as missing:
            found = _in_order(root, with_weights, path, missing)
        archive.require_shapes(found, shapes(model))
        return [array[()] for array in found]


def _by_name(root: h5py.Group, layer: Any) -> list[h5py.Dataset]:
    """Return the datasets of a layer's weights in a file of Keras 2, by the name of the layer.

    Raises:
        ValueError: naming the layer, when the file lacks it.
    """
    try:
        return [_older(root, layer.name, weight.name) for weight in layer.weights]
    except ValueError as error:
        raise ValueError(layer.name) from error


def _in_order(root: h5py.Group, with_weights: list[Any], path: Path, missing: ValueError) -> list[h5py.Dataset]:
    """Return the datasets of all weights in a file of Keras 2 whose layers have other names, matched by order.

    The pixel statistics among the weights of some published networks are skipped, because the preprocessing layers of
    this project hold them as constants.
    """
    held = []
    try:
        for layer in hdf5.listed(root, "layer_names"):
            place = hdf5.group(root, layer)
            names = hdf5.listed(place, "weight_names")
            if names and {name.rpartition("/")[2] for name in names} != {"mean:0", "variance:0", "count:0"}:
                held.append((place, names))
    # Without these attributes the order of the weights is unknown.
    except ValueError:
        held = []
    if len(held) != len(with_weights):
        lacking = sum(not _has(root, layer) for layer in with_weights)
        raise InputError(f"The weights file {path} lacks {lacking} layers such as {missing}: give a fitting one.")
    found = []
    for (place, names), layer in zip(held, with_weights, strict=True):
        if len(names) != len(layer.weights):
            raise InputError(
                f"The weights file {path} has {len(names)} weights where the layer {layer.name} has "
                f"{len(layer.weights)}: give a fitting one."
            )
        # These files hold the trainable weights of a layer before the others.
        order = [*layer.trainable_weights, *layer.non_trainable_weights]
        places = {id(weight): name for weight, name in zip(order, names, strict=True)}
        found += [_below(place, places[id(weight)]) for weight in layer.weights]
    return found


def _has(root: h5py.Group, layer: Any) -> bool:
    try:
        return bool(_by_name(root, layer))
    except ValueError:
        return False


def _below(place: h5py.Group, name: str) -> h5py.Dataset:
    *groups, last = name.split("/")
    for part in groups:
        place = hdf5.group(place, part)
    return hdf5.dataset(place, last, np.float32, *range(5))


def _older(root: h5py.Group, layer: str, weight: str) -> h5py.Dataset:
    """Return the dataset of a weight at layer/layer/name; the name is that of Keras 3 or that of Keras 2."""
    holder = hdf5.group(hdf5.group(root, layer), layer)
    names = (f"{weight}:0", f"depthwise_{weight}:0")
    name = next((name for name in names if holder.get(name, getlink=True) is not None), weight)
    return hdf5.dataset(holder, name, np.float32, *range(5))
