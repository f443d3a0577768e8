"""Looks at networks, their trainings and what they encoded. No network is loaded, so no code in one can run."""

import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from cbir import files
from cbir.encoding import read_rows
from cbir.errors import InputError
from cbir.files import read_csv, sha256_json
from cbir.inspect.found import Found, pairs
from cbir.inspect.results import Results, read_object
from cbir.store import dataset

# Of the state in a checkpoint, which holds a few figures an epoch.
_LARGEST_STATE = 10_000_000


def network(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare architecture and weights with the side file."""
    config, metadata, weights = _unpack(path)
    layers = config["config"]["layers"]
    found.source = {"made by": f"Keras {metadata.get('keras_version')}"}
    found.rows = pd.DataFrame(
        [
            {"layer": layer["config"]["name"], "class": layer["class_name"], "weights": "x".join(map(str, shape))}
            for layer, shape in zip(layers, _shapes(layers, weights), strict=True)
        ]
    )
    found.count = f"{len(layers)} layers, {sum(array.size for arrays in weights for array in arrays):,} parameters"
    side = results.path(f"encoders/{names['encoder']}.json")
    _describe(read_object(side), found)
    found.require(
        _fingerprint(config, weights) == read_object(side).get("weights_fingerprint"),
        f"{side.name} (architecture and weights)",
        f"The network {path} is not the one that {side} describes",
    )


def _unpack(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[list[np.ndarray]]]:
    """Return a Keras archive's configuration, metadata and, layer by layer, weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            # Keras compresses nothing, so that what claims more than the file has is no network.
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("it claims more bytes than the file has")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
            data = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(data), "r") as file:
            groups = _groups(config["config"]["layers"])
            return config, metadata, [_arrays(file, group, len(data)) for group in groups]
    # A damaged archive raises nearly anything.
    except Exception as error:
        raise InputError(f"The network {path} is damaged ({error}): remove it and run again.") from error


def _groups(layers: list[dict[str, Any]]) -> list[str]:
    """Return where Keras keeps each layer's weights: by class in snake case, counted from the second one on."""
    seen: Counter[str] = Counter()
    groups = []
    for layer in layers:
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", layer["class_name"])).lower()
        groups.append(f"layers/{snake}/vars" if not seen[snake] else f"layers/{snake}_{seen[snake]}/vars")
        seen[snake] += 1
    return groups


def _arrays(file: h5py.File, group: str, most: int) -> list[np.ndarray]:
    place: Any = file
    for name in group.split("/"):
        if not isinstance(place.get(name, getlink=True), h5py.HardLink):
            return []
        place = place[name]
    return [_array(place, str(number), most) for number in range(len(place))]


def _array(group: h5py.Group, name: str, most: int) -> np.ndarray:
    # As `cbir.store.dataset`, for a file in memory.
    found = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.nbytes > most:
        raise ValueError(f"its weights {group.name}/{name} are none")
    return np.ascontiguousarray(found[()], np.float32)


def _shapes(layers: list[Any], weights: list[list[np.ndarray]]) -> list[tuple[int, ...]]:
    return [arrays[0].shape if arrays else () for arrays in weights][: len(layers)]


def _fingerprint(config: dict[str, Any], weights: list[list[np.ndarray]]) -> str:
    """Return what `cbir.weights.fingerprint` returns for the loaded network, without loading it."""
    digest = hashlib.sha256(json.dumps(_without_addresses(config)).encode())
    for arrays in weights:
        for array in arrays:
            digest.update(array.tobytes())
    return digest.hexdigest()


def _without_addresses(value: Any) -> Any:
    """Drop the memory addresses that Keras writes into an archive's configuration and nowhere else."""
    if isinstance(value, dict):
        return {key: _without_addresses(item) for key, item in value.items() if key != "shared_object_id"}
    return [_without_addresses(item) for item in value] if isinstance(value, list) else value


def _describe(about: dict[str, Any], found: Found) -> None:
    found.source |= {"weights": about.get("weights"), "fingerprint": about.get("fingerprint")}


def about(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the fingerprints with what they are made of, and the network with them."""
    side = read_object(path)
    found.count = f"{side['parameters']:,} parameters, {side['dimension']} values an image"
    found.source = {"weights": side["weights"]}
    found.rows = pairs(side)
    whole = sha256_json([side["weights_fingerprint"], sha256_json(side["preprocessing"]), side["normalise"]])
    found.require(
        side["encoder"] == names["encoder"] and side["fingerprint"] == whole,
        "its own fingerprints",
        f"{path} was edited, or is of another encoder",
        "remove it and its network and run again",
    )
    network(results, path.with_suffix(".keras"), names, Found())
    found.fits.append(path.with_suffix(".keras").name)


def history(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the epochs with each other, and with the network that came out."""
    table = read_csv(path, ["epoch", "loss", "map", "anmrr", "best"])
    best = table.loc[table["best"] == 1, "epoch"]
    found.count = f"{len(table) - 1} epochs after the untrained state"
    found.rows = table
    found.require(
        list(table["epoch"]) == list(range(len(table))) and len(best) == 1,
        "itself (every epoch once, one of them the best)",
        f"{path} lacks epochs or the mark of the best one",
    )
    found.source = {"result": f"the weights of epoch {best.iloc[0]}"}
    side = results.path(f"encoders/{names['encoder']}.json")
    if not (path.parent / "checkpoint.npz").exists():
        source = str(read_object(side).get("weights"))
        found.require(
            source.endswith(", trained"),
            side.name,
            f"{side} is of a network that was not trained, so {path} is not its history",
        )


def checkpoint(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the history beside it."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("state.npy").file_size > _LARGEST_STATE:
                raise ValueError("its state is too large")
        with np.load(path, allow_pickle=False) as stored:
            state = json.loads(str(stored["state"]))
            arrays = len(stored.files) - 1
        found.count = f"epoch {len(state['history']) - 1}, {arrays} arrays"
    # NumPy raises many kinds on damaged files.
    except Exception as error:
        raise InputError(f"The checkpoint {path} is damaged ({error}): remove it and run again.") from error
    found.source = {"best epoch": state["best"], "fingerprint": state["fingerprint"]}
    found.rows = pd.DataFrame(state["history"])
    epochs = len(files.read_csv(path.parent / "history.csv", ["epoch"]))
    found.require(
        epochs == len(state["history"]), "history.csv", f"{path} and history.csv beside it are of different epochs"
    )


def encoded(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the encoder and with the images of the shard."""
    digests = _look_into(results, path, names["encoder"], found)
    listed = (
        f"splits/{names['shard']}.csv"
        if names["shard"].startswith("outside-")
        else (f"collection/shards/{names['shard']}.csv")
    )
    wanted = results.table(listed, ["path", "sha256"])["sha256"]
    found.require(
        digests == sorted(set(wanted)),
        listed,
        f"{path} does not hold the images of {results.path(listed)}",
        "run again",
    )


def part(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the encoder; the next run takes the rows over."""
    _look_into(results, path, names["encoder"], found)


def _look_into(results: Results, path: Path, encoder: str, found: Found) -> list[str]:
    side = results.path(f"encoders/{encoder}.json")
    fingerprint = str(read_object(side).get("fingerprint"))
    try:
        with h5py.File(path, "r") as file:
            digests = [str(digest) for digest in dataset(file, "sha256").asstr()[:]]
            own = str(file.attrs["fingerprint"])
            values = dataset(file, "features").shape[1]
    # h5py raises many kinds on damaged files.
    except Exception as error:
        raise InputError(f"The encoded shard {path} is damaged ({error}): remove it and run again.") from error
    found.count = f"{len(digests):,} contents, {values} values each"
    found.source = {"encoder": encoder, "fingerprint": own}
    found.require(
        own == fingerprint,
        f"{side.name} (fingerprint)",
        f"The encoded shard {path} is of another encoder than {side} describes",
    )
    blocks = list(read_rows([path], digests, fingerprint))
    found.fits.append("its own checksum")
    if blocks:
        first = pd.DataFrame(blocks[0][:5, :3], columns=[f"value {place}" for place in range(min(3, values))])
        first.insert(0, "sha256", digests[: len(first)])
        found.rows = first
    return digests
