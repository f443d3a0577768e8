"""Checks of networks, their trainings and encoded shards. No network is loaded, so no code in one can run."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from cbir.artifacts.found import Found
from cbir.collection.ranges import whites_of
from cbir.encoders.runtimes import Runtime, fingerprint
from cbir.features.shards import contents, read_rows
from cbir.files import archive, hashes
from cbir.files.archive import Archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json
from cbir.files.hdf5 import attributes, dataset, opened, texts
from cbir.files.tables import read_csv
from cbir.results import (
    CHECKPOINT,
    CHECKPOINT_CODE,
    HISTORY,
    NETWORK_ABOUT,
    SHARD_MANIFEST,
    SPLIT,
    Results,
    read_object,
)


def network(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare architecture and weights with the side file."""
    held = _look_at_archive(path, found)
    side = path.with_suffix(".json")
    described = read_object(side)
    found.source |= {"weights": described.get("weights"), "fingerprint": described.get("fingerprint")}
    found.require(
        held.fingerprint() == described.get("weights_fingerprint"),
        f"{side.name} (architecture and weights)",
        f"The network {path} is not the one that {side} describes",
        "remove both and run again",
    )


def _look_at_archive(path: Path, found: Found) -> Archive:
    held = archive.read(path)
    parameters = sum(array.size for arrays in held.weights for array in arrays)
    found.count = f"{len(held.layers)} layers, {parameters:,} parameters"
    found.source = {"made by": f"Keras {held.metadata.get('keras_version')}"}
    found.rows = pd.DataFrame(
        [
            {"layer": name, "class": kind, "weights": ", ".join("x".join(map(str, array.shape)) for array in arrays)}
            for (name, kind), arrays in zip(held.layers, held.weights, strict=True)
        ]
    )
    return held


def fetched(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the checksum beside it."""
    _look_at_archive(path, found)
    _require_fetched(path, path.with_suffix(".json"), found)


def fetched_about(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the weights beside it."""
    _require_fetched(path.with_suffix(".keras"), path, found)


def _require_fetched(path: Path, side: Path, found: Found) -> None:
    about = read_object(side)
    found.source |= about
    found.require(
        hashes.sha256_file(path) == about["sha256"],
        "the checksum beside it",
        f"The weights file {path} is not the one that {side} describes",
        "remove both and run again",
    )


def about(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Recompute the fingerprint from its parts, and compare the network with it."""
    side = read_object(path)
    found.count = f"{side['parameters']:,} parameters, {side['dimension']} values an image"
    found.source = side
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
    """Check that the epochs are complete, and that the network beside it is a trained one."""
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
    side = results.path(NETWORK_ABOUT, encoder=names["trained"])
    if results.path(CHECKPOINT_CODE, **names).exists() or not results.path(CHECKPOINT, **names).exists():
        source = str(read_object(side).get("weights"))
        found.require(
            source.endswith(", trained"),
            side.name,
            f"{side} is of a network that was not trained, so {path} is not its history",
        )


def checkpoint(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the history beside it."""
    try:
        archive.require_plain(path)
        with np.load(path, allow_pickle=False) as stored:
            state = json.loads(str(stored["state"]))
            arrays = len(stored.files) - 1
        found.count = f"epoch {len(state['history']) - 1}, {arrays} arrays"
    # NumPy raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"The checkpoint {path} is damaged ({error}): remove it and run again.") from error
    found.source = {"best epoch": state["best"], "fingerprint": state["fingerprint"]}
    found.rows = pd.DataFrame(state["history"])
    epochs = len(results.table(HISTORY, ["epoch"], **names))
    found.require(
        epochs == len(state["history"]), "history.csv", f"{path} and history.csv beside it are of different epochs"
    )


def finished(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the checkpoint beside it."""
    code = path.read_text(encoding="utf-8")
    found.count = "one hash"
    found.source = {"code": code}
    found.require(re.fullmatch("[0-9a-f]{64}", code) is not None, "its form", f"{path} is not a SHA-256 hash")
    found.require(results.path(CHECKPOINT, **names).is_file(), "checkpoint.npz", f"{path} has no checkpoint beside it")


def encoded(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the encoder, and with the images of the shard."""
    held = _look_into(results, path, names, found)
    shard = names["shard"]
    listed = (SPLIT if shard.startswith("outside-") else SHARD_MANIFEST).format(split=shard, shard=shard)
    table = results.table(listed, ["path", "sha256"])
    wanted = dict(zip(table["sha256"], whites_of(table), strict=True))
    found.require(
        list(held.items()) == sorted(wanted.items()),
        listed,
        f"{path} does not hold the images of {results.path(listed)}",
        "run again",
    )


def part(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the encoder. The next run reuses these rows."""
    _look_into(results, path, names, found)


def _look_into(results: Results, path: Path, names: dict[str, str], found: Found) -> dict[str, int]:
    side = results.path(NETWORK_ABOUT, encoder=names["encoder"])
    runtime = Runtime.parse(names["runtime"])
    made = fingerprint(str(read_object(side).get("fingerprint")), runtime)
    try:
        with opened(path) as file:
            digests = list(texts(dataset(file, "sha256", "S", 1)))
            own = str(attributes(file, ["fingerprint"])["fingerprint"])
            values = dataset(file, "features", np.float32, 2).shape[1]
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"The encoded shard {path} is damaged ({error}): remove it and run again.") from error
    found.count = f"{len(digests):,} contents, {values} values each"
    found.source = {"encoder": names["encoder"], "run by": f"{runtime.name}, {runtime.precision}", "fingerprint": own}
    found.require(
        own == made,
        f"{side.name} (fingerprint)",
        f"The encoded shard {path} is of another encoder or runtime than {side} and its folder say",
    )
    blocks = list(read_rows([path], digests, made))
    found.fits.append("its own checksum")
    if blocks:
        first = pd.DataFrame(blocks[0][:5, :3], columns=[f"value {place}" for place in range(min(3, values))])
        first.insert(0, "sha256", digests[: len(first)])
        found.rows = first
    return contents(path, made)
