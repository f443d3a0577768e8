"""A map of each method's features, on which images with similar features are near each other."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.features import store
from cbir.report import projections
from cbir.report.results import Results
from cbir.results import FEATURES, METHOD_QUERIES

TITLE = "Embedding map"
ORDER = 85
NEEDS_LABELS = True
_GALLERY, _QUERIES = (FEATURES.replace("{split}", split) for split in ("{gallery}", "test"))
INPUTS = (_GALLERY, _QUERIES, METHOD_QUERIES)
MOST = 1500
"""The most images of a map. Of more, a sample is drawn, a third of which is queries if there are enough."""
SEED = 0
WIDTH, HEIGHT, MARGIN = 1000, 640, 14


def gather(results: Results) -> dict[str, Any]:
    """Return a map for each method, all of the same images: coordinates, categories and misclassified queries."""
    first = results.methods[0].name
    gallery, queries = (results.store(first, name, mapped=True).image_id for name in (results.gallery, "test"))
    if results.gallery == "test":
        # The queries are their own gallery.
        gallery = gallery[:0]
    drawn_queries = _sample(queries, max(MOST // 3, MOST - len(gallery)))
    drawn = set(drawn_queries) | set(_sample(gallery, MOST - len(drawn_queries)))
    names = sorted(set(results.images["category"]))
    return {
        "kind": results.config["report"]["projection"],
        "images": len(drawn),
        "whole": len(gallery) + len(queries),
        "seed": SEED,
        "size": [WIDTH, HEIGHT],
        # Multiples of the golden angle give neighbouring categories very different hues.
        "hues": {name: round(place * 137.508 % 360) for place, name in enumerate(names)},
        "maps": {method.name: _map(results, method.name, drawn) for method in results.methods},
    }


def _sample(rows: NDArray[np.object_], count: int) -> NDArray[np.object_]:
    if len(rows) <= count:
        return rows
    return rows[np.sort(np.random.default_rng(SEED).choice(len(rows), count, replace=False))]


def _map(results: Results, method: str, drawn: set[str]) -> dict[str, Any]:
    parts = []
    for layer, split in (("gallery", results.gallery), ("query", "test"))[results.gallery == "test" :]:
        # Not read by `results`, which caches what it reads and would keep the vectors of all methods in memory.
        held = store.read(results.path(FEATURES, method=method, split=split), method)
        rows = np.flatnonzero(np.isin(held.image_id, list(drawn)))
        parts.append((layer, held.features[rows], held.image_id[rows]))
    coordinates, share = projections.project(
        np.concatenate([features for _, features, _ in parts]), results.config["report"]["projection"]
    )
    table = results.table(METHOD_QUERIES, ["image_id", "category", "predicted"], method=method)
    taken = dict(zip(table["image_id"], table["predicted"], strict=True))
    points = pd.DataFrame(_fitted(coordinates), columns=["x", "y"])
    points["image_id"] = np.concatenate([names for _, _, names in parts])
    points["layer"] = np.repeat([split for split, _, _ in parts], [len(names) for _, _, names in parts])
    layers: dict[str, dict[str, list[dict[str, Any]]]] = {"gallery": {}, "query": {}, "wrong": {}}
    for x, y, image_id, layer in points.itertuples(index=False, name=None):
        tile = results.tile(image_id)
        point = {"x": x, "y": y, **{key: tile[key] for key in ("image_id", "thumbnail")}}
        predicted = taken.get(image_id, tile["category"])
        if layer == "query" and predicted != tile["category"]:
            layer = "wrong"
            point |= {"taken_for": predicted, "anchor": results.anchor(method, tile["category"], predicted)}
        layers[layer].setdefault(tile["category"], []).append(point)
    return {"share": share, "layers": layers}


def _fitted(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale coordinates to fit the picture: the same scale on both axes, y upwards, rounded to a tenth of a unit."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    spread = np.where(high > low, high - low, np.inf)
    scale = float((room / spread).min()) or 1.0
    centred = (coordinates - (low + high) / 2) * scale * [1, -1]
    return np.round(centred + np.array([WIDTH, HEIGHT]) / 2, 1)
