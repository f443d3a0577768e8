"""Checks of feature stores, transforms and indexes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cbir.artifacts.found import Found
from cbir.collection.roles import QUERIES
from cbir.encoders.runtimes import made_by
from cbir.features import store, transforms
from cbir.features.chains import chains, name_of
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.results import FEATURES, INDEX_ABOUT, NETWORK_ABOUT, SPLIT, TRANSFORM, Results, read_object
from cbir.retrieval import changes, index
from cbir.retrieval.indexes import REGISTRY as INDEXES


def feature_store(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the table of the split, row by row, and with the encoder or the parts that it was made from."""
    method, split = names["method"], names["split"]
    held = store.read(path, method)
    found.fits.append("its own checksum")
    found.count = f"{len(held.features):,} images, {held.features.shape[1]} values each"
    found.source = {key: _readable(value) for key, value in held.about.items() if key not in ("dimension", "libraries")}
    found.rows = _rows(held)
    manifest = results.split(split)
    same = all(list(getattr(held, column)) == list(manifest[column]) for column in ("image_id", "label", "sha256"))
    manifest_path = results.path(SPLIT, split=split)
    otherwise = f"{path} does not hold the images of {manifest_path} in their order"
    found.require(same, manifest_path.name, otherwise)
    if "manifest_sha256" in held.about:
        found.require(held.about["manifest_sha256"] == sha256_file(manifest_path), manifest_path.name, otherwise)
    if "encoder" in held.about:
        side = results.path(NETWORK_ABOUT, encoder=str(held.about["encoder"]))
        fits = made_by(str(read_object(side).get("fingerprint")), held.about["encoder_fingerprint"]) is not None
        found.require(fits, f"{side.name} (fingerprint)", f"{path} was made by another network than {side} describes")
    else:
        _require_parts(results, held, path, split, found)


def _readable(value: Any) -> Any:
    """Return an attribute in readable form: JSON objects as ``name: value``."""
    try:
        plain = _json(value)
    except ValueError:
        return value
    return ", ".join(f"{name}: {item}" for name, item in plain.items()) if isinstance(plain, dict) else value


def _json(text: Any) -> Any:
    """Return the value of an attribute that holds JSON as text."""
    return json.loads(text) if isinstance(text, str) else text


def _rows(held: FeatureStore) -> pd.DataFrame:
    values = {f"value {column}": held.features[:, column] for column in range(min(3, held.features.shape[1]))}
    return pd.DataFrame({"image_id": held.image_id, "label": held.label, **values})


def _require_parts(results: Results, held: FeatureStore, path: Path, split: str, found: Found) -> None:
    method = held.about["method"]
    _, fitted = results.transform(method)
    transform_path = results.path(TRANSFORM, derived=method)
    found.require(
        held.about["transform_fingerprint"] == fitted["fingerprint"],
        f"{TRANSFORM.format(derived=method)} (fingerprint)",
        f"{path} was made by another transform than {transform_path}",
    )
    for part, digest in _json(held.about["parts"]).items():
        fits = results.store(part, split).about["features_sha256"] == digest
        found.require(
            fits,
            f"{FEATURES.format(method=part, split=split)} (features_sha256)",
            f"{path} was made from other vectors than {results.path(FEATURES, method=part, split=split)} holds",
        )


def earlier_gallery(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count the images. The next evaluation uses their vectors if they are those that were evaluated."""
    found.count = f"{len(store.read(path, names['method']).features):,} images"
    found.fits.append("its own checksum")


def transform(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the train stores that it was fitted on, and the val stores that its options were chosen by."""
    held, fitted = results.transform(names["derived"])
    row, parts, digests = (json.loads(fitted[name]) for name in ("row", "parts", "fitted_on"))
    chosen = json.loads(fitted["chosen"]) if "chosen" in fitted else None
    found.count = f"{len(held.parts)} parts"
    found.source = {"row": fitted["row"], "parts": ", ".join(parts), "fingerprint": fitted["fingerprint"]}
    made_by = [*zip(parts, (part.steps for part in held.parts), strict=True), (" + ".join(parts), held.whole)]
    found.rows = pd.DataFrame(
        [
            {
                "part": part,
                "step": step.name,
                "learned": ", ".join(f"{name} {_summary(array)}" for name, array in step.arrays.items()) or "nothing",
            }
            for part, chain in made_by
            for step in chain
        ]
    )
    found.require(
        fitted["method"] == names["derived"] and fitted["fingerprint"] == transforms.fingerprint(row, digests, chosen),
        "its own fingerprint",
        f"The transform {path} was edited, or is of another method",
    )
    asked = chains(row)
    found.require(
        [[step.name for step in chain] for _, chain in made_by]
        == [[name_of(step) for step in chain] for chain in (*asked.parts, asked.whole)],
        "its own row (steps)",
        f"The transform {path} has other steps than its row",
    )
    for split, made_on in {results.gallery: digests, "val": chosen["val"] if chosen else []}.items():
        for part, digest in zip(parts, made_on, strict=False):
            fits = results.store(part, split).about["features_sha256"] == digest
            found.require(
                fits,
                f"{FEATURES.format(method=part, split=split)} (features_sha256)",
                f"The transform {path} was {'chosen' if split == 'val' else 'fitted'} on other vectors than "
                f"{results.path(FEATURES, method=part, split=split)} holds",
            )
    if chosen:
        tried = chosen["tried"][chosen["best"]]
        found.source["chosen on val"] = f"{json.dumps(tried['steps'])}, {chosen['monitor']} {tried['value']:.4f}"


def _summary(values: np.ndarray) -> str:
    return f"{float(values):.6g}" if values.ndim == 0 else f"({' x '.join(map(str, values.shape))})"


def index_file(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Open the index as the workflow does, and search the neighbours of a gallery image."""
    gallery = results.store(names["method"], results.gallery)
    side = read_object(path.with_suffix(".json"))
    held = index.read(path, gallery)
    if path.suffix != INDEXES[held.kind].SUFFIX:
        raise InputError(f"{path} is not part of the index that {path.stem}.json describes: remove it.")
    found.count = f"{held.label} of {held.rows:,} images, {held.dimension} values each"
    found.source = {key: value for key, value in side.items() if key not in _COUNTS}
    found.fits += [
        f"{FEATURES.format(method=names['method'], split=results.gallery)} (vectors and features_sha256)",
        f"{path.stem}.json (file_sha256)",
    ]
    (distances,), (rows,) = held.search(gallery.features[:1], min(5, held.rows))
    found.rows = pd.DataFrame({"row": rows, "image_id": gallery.image_id[rows], "distance": distances}).rename(
        columns={"image_id": f"nearest to {gallery.image_id[0]}"}
    )


_COUNTS = ("rows", "dimension")


def index_about(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the index and its gallery."""
    side = read_object(path)
    found.source = side
    found.count = f"an index of {side['rows']:,} images"
    gallery = results.store(names["method"], results.gallery)
    held = index.read(path, gallery)
    found.require(
        (side["method"], side["rows"], side["dimension"]) == (names["method"], held.rows, held.dimension),
        f"{FEATURES.format(method=names['method'], split=results.gallery)} (rows and dimension)",
        f"{path} has other counts than the index beside it",
    )
    found.fits.append(f"{FEATURES.format(method=names['method'], split=results.gallery)} (features_sha256)")


def index_rows(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the index and the vectors of the gallery."""
    method = names["approximate"]
    side, gallery = results.path(INDEX_ABOUT, method=method), results.store(method, results.gallery)
    held = changes.read(path)
    found.count = f"{len(held.row):,} rows, {np.count_nonzero(held.row < 0):,} of them removed since"
    found.source = {"features_sha256": held.features_sha256, "file_sha256": held.file_sha256, **held.about}
    found.fits.append("its own checksum")
    index.read(side, gallery)
    found.fits.append(f"{side.name} (features_sha256 and file_sha256)")
    kept = held.row >= 0
    found.require(
        np.array_equal(changes.keys(gallery.features)[held.row[kept]], held.keys[kept]),
        f"{FEATURES.format(method=method, split=results.gallery)} (vectors)",
        f"{path} names rows of {results.path(FEATURES, method=method, split=results.gallery)} with other vectors",
    )
    found.rows = pd.DataFrame({"row of the index": np.arange(len(held.row)), "row of the gallery": held.row})


def index_quality(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the index and the stores that it was measured with, and check its own figures."""
    measured = read_object(path)
    method = names["approximate"]
    found.count = f"recall@10 {measured['recall_at_10']:.4f} with {measured['queries']:,} queries"
    found.source = {key: measured[key] for key in ("kind", "factory", "parameter", "effort", "least_recall")}
    found.rows = pd.DataFrame(measured["tried"])
    index.read(results.path(INDEX_ABOUT, method=method), results.store(method, results.gallery), path)
    found.fits.append(f"{method}.json (file_sha256)")
    # Without categories there are no test images, and the gallery's images are the queries.
    splits = {"gallery": results.gallery, "queries": QUERIES if results.labelled else results.gallery}
    for role, split in splits.items():
        digest = measured["features_sha256"][role]
        store_path = results.path(FEATURES, method=method, split=split)
        found.require(
            results.store(method, split).about["features_sha256"] == digest,
            f"{FEATURES.format(method=method, split=split)} (features_sha256)",
            f"{path} was measured with other vectors than {store_path} holds",
        )
    best = {"effort": measured["effort"], **{key: measured[key] for key in measured if key.startswith("recall_at_")}}
    found.require(
        bool(measured["tried"])
        and measured["tried"][-1] == best
        and all(0 <= value <= 1 for key, value in best.items() if key != "effort"),
        "itself",
        f"{path} has figures that are not the last ones it tried",
    )
