"""The index of a method: one of the kinds in `cbir.retrieval.indexes` over its gallery, and a side file about it."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from cbir.features.store import FeatureStore
from cbir.files.atomic import atomic
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json
from cbir.retrieval.indexes import REGISTRY


@dataclass(frozen=True, eq=False)
class Index:
    """An index in memory.

    Attributes:
        kind: its name in `cbir.retrieval.indexes`.
        held: what that kind's ``build`` or ``open`` returned.
        rows: how many images it holds.
        dimension: how many features each has.
    """

    kind: str
    held: Any
    rows: int
    dimension: int

    @property
    def label(self) -> str:
        """What messages call it."""
        label: str = REGISTRY.get_entry(self.kind).LABEL
        return label

    def search(self, queries: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the distances and rows, both (q, k), of the k nearest of each query (q, d); k at most ``rows``."""
        distances, rows = REGISTRY.get_entry(self.kind).search(self.held, queries, k)
        return distances, rows


def over(features: NDArray[Any], kind: str = "kdtree", **options: Any) -> Index:
    """Return an index over features (n, d), built in memory.

    Raises:
        InputError: when there is no such kind.
    """
    return Index(kind, REGISTRY.get_entry(kind).build(features, **options), *features.shape)


def build(gallery: FeatureStore, path: str | Path, kind: str = "kdtree", **options: Any) -> None:
    """Build the index of a gallery, and say beside it (.json) what it was built from.

    Args:
        gallery: the method's train features.
        path: where the index goes, with any suffix; the kind's own suffix takes its place.
        kind: a name in `cbir.retrieval.indexes`.
        options: of this kind.

    Raises:
        InputError: when there is no such kind.
    """
    entry, side = REGISTRY.get_entry(kind), Path(path).with_suffix(".json")
    index = over(gallery.features, kind, **options)
    about = {
        "kind": kind,
        "method": gallery.about.get("method"),
        "rows": index.rows,
        "dimension": index.dimension,
        **options,
        "features_sha256": gallery.about["features_sha256"],
        **_versions(),
    }
    if entry.SUFFIX:
        stored = side.with_suffix(entry.SUFFIX)
        with atomic(stored) as temporary:
            entry.save(index.held, temporary)
        about["file_sha256"] = sha256_file(stored)
    write_json(side, about)


def read(path: str | Path, gallery: FeatureStore) -> Index:
    """Return the index of a gallery.

    Args:
        path: the index or its side file.
        gallery: the method's train features.

    Raises:
        InputError: when a file is missing, was built over other vectors, is not what the side file describes, or cannot
            be used by this kind.
    """
    side = Path(path).with_suffix(".json")
    about = read_json(side)
    if not isinstance(about, dict) or about.get("features_sha256") != gallery.about.get("features_sha256"):
        raise InputError(
            f"The index {side} was built over other vectors than its feature store holds: remove it and run again."
        )
    kind = str(about.get("kind"))
    if kind not in set(REGISTRY):
        raise InputError(f"{side} names the index kind {kind!r}, which does not exist: remove it and run again.")
    entry = REGISTRY[kind]
    stored = side.with_suffix(entry.SUFFIX) if entry.SUFFIX else side
    if entry.SUFFIX:
        if not stored.is_file():
            raise InputError(f"The index {stored} does not exist: run the workflow first.")
        if sha256_file(stored) != about.get("file_sha256"):
            raise InputError(f"The index {stored} is not the file that {side} describes: remove it and run again.")
    try:
        return Index(kind, entry.open(stored, gallery.features, about), *gallery.features.shape)
    except InputError as error:
        made_by = {name: about.get(name) for name in _versions()}
        if made_by == _versions():
            raise
        raise InputError(
            f"The index {stored} was built by {_in_words(made_by)}, and this is {_in_words(_versions())}: remove it "
            "and run again."
        ) from error


def _versions() -> dict[str, str]:
    """Return what an index may depend on beside its vectors."""
    return {"scipy": scipy.__version__, "numpy": np.__version__, "python": platform.python_version()}


def _in_words(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
