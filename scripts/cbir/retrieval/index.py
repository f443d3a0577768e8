"""The index of a method: one of the kinds in `cbir.retrieval.indexes` over its gallery, and a side file about it."""

import platform
from dataclasses import dataclass, replace
from inspect import signature
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
from cbir.retrieval import exact
from cbir.retrieval.indexes import REGISTRY, is_approximate
from cbir.retrieval.indexes._faiss import Kept

# Which of the values of the search parameter is used before recall is measured: the third, efSearch 64 or nprobe 4.
_USUAL_STEP = 2


@dataclass(frozen=True, eq=False)
class Index:
    """An index in memory.

    Attributes:
        kind: its name in `cbir.retrieval.indexes`.
        held: what that kind's ``build`` or ``open`` returned.
        features: (n, d), the vectors that it was built over; the candidates of an approximate kind are ranked by them.
        effort: the value of an approximate kind's search parameter; None for an exact kind.
    """

    kind: str
    held: Any
    features: NDArray[Any]
    effort: int | None = None

    @property
    def rows(self) -> int:
        """The number of images."""
        return len(self.features)

    @property
    def dimension(self) -> int:
        """The number of values of a vector."""
        return self.features.shape[1]

    @property
    def label(self) -> str:
        """The name of its kind in messages."""
        label: str = REGISTRY.get_entry(self.kind).LABEL
        return label

    def search(self, queries: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the Euclidean distances and rows, both (q, k), of the k nearest of each query (q, d); k <= ``rows``.

        An approximate kind may miss some of the nearest. The distances that it returns are exact, and ties go by row.

        Raises:
            InputError: when the index names a row that does not exist, or the features are not finite.
        """
        entry = REGISTRY.get_entry(self.kind)
        if self.effort is None:
            distances, rows = entry.search(self.held, queries, k)
            return distances, rows
        distances, rows = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
        for place, found in enumerate(entry.candidates(self.held, queries, k, self.effort)):
            near = found[found >= 0]
            if near.max(initial=0) >= self.rows:
                raise InputError("The index names images that do not exist: remove results/index and run again.")
            if len(near) < k:
                # Some nodes of a graph may be unreachable, and the lists searched may hold fewer than k rows.
                (distances[place],), (rows[place],) = exact.nearest(queries[place : place + 1], self.features, k)
                continue
            exactly = exact.euclidean(queries[place], self.features[near])
            if not np.isfinite(exactly).all():
                raise InputError("The feature store holds values that are not finite: remove it and run again.")
            order = np.lexsort((near, exactly))[:k]
            distances[place], rows[place] = exactly[order], near[order]
        return distances, rows

    def share_compared_with_all(self, queries: NDArray[Any], k: int) -> float:
        """Return the share of queries (q, d) for which so few candidates are found that all images are compared."""
        if self.effort is None:
            return 1.0
        found = REGISTRY.get_entry(self.kind).candidates(self.held, queries, k, self.effort)
        return float(np.mean([np.count_nonzero(rows >= 0) < k for rows in found]))

    def with_effort(self, effort: int) -> "Index":
        """Return the same index, searched with another value of its search parameter."""
        return replace(self, effort=effort)

    def efforts(self) -> list[int]:
        """Return the values that the search parameter of an approximate kind may have, ascending."""
        return list(REGISTRY.get_entry(self.kind).efforts(self.held))


def over(features: NDArray[Any], kind: str = "kdtree", **options: Any) -> Index:
    """Return an index over features (n, d), built in memory.

    Raises:
        InputError: when there is no such kind.
    """
    return _index(kind, REGISTRY.get_entry(kind).build(features, **options), features)


def _index(kind: str, held: Any, features: NDArray[Any]) -> Index:
    if not is_approximate(kind):
        return Index(kind, held, features)
    # A value that misses little, until `read` sets the measured one.
    efforts = REGISTRY.get_entry(kind).efforts(held)
    return Index(kind, held, features, efforts[min(_USUAL_STEP, len(efforts) - 1)])


def build(gallery: FeatureStore, path: str | Path, kind: str = "kdtree", **options: Any) -> None:
    """Build the index of a gallery, and write it and a side file (.json) that states what it was built from.

    Args:
        gallery: the method's train features.
        path: the file of the index; its suffix is replaced by that of the kind.
        kind: a name in `cbir.retrieval.indexes`.
        options: of this kind.

    Raises:
        InputError: when there is no such kind.
    """
    entry, side = REGISTRY.get_entry(kind), Path(path).with_suffix(".json")
    kept = _kept(side, gallery, kind, options)
    index = over(gallery.features, kind, **options, **({} if kept is None else {"kept": kept}))
    about = {
        "kind": kind,
        "method": gallery.about.get("method"),
        "rows": index.rows,
        "dimension": index.dimension,
        **options,
        "features_sha256": gallery.about["features_sha256"],
        **_versions(),
    }
    if is_approximate(kind):
        about |= entry.describe(index.held)
    if entry.SUFFIX:
        stored = side.with_suffix(entry.SUFFIX)
        with atomic(stored) as temporary:
            entry.save(index.held, temporary)
        about["file_sha256"] = sha256_file(stored)
    write_json(side, about)
    # Also those of a kind that was asked for before.
    for path in (side.with_suffix(".part"), side.with_suffix(".part.json")):
        path.unlink(missing_ok=True)


def _kept(side: Path, gallery: FeatureStore, kind: str, options: dict[str, Any]) -> Any:
    """Return where a kind keeps a part of an index, so that a build that is killed goes on; None if it does not."""
    if "kept" not in signature(REGISTRY.get_entry(kind).build).parameters:
        return None
    made_from = {"kind": kind, "features_sha256": gallery.about["features_sha256"], **options}
    return Kept(side.with_suffix(".part"), made_from)


def read(path: str | Path, gallery: FeatureStore, quality: str | Path | None = None) -> Index:
    """Return the index of a gallery.

    Args:
        path: the index or its side file.
        gallery: the method's train features.
        quality: for an approximate kind, the file with the search parameter that reaches the recall asked for, see
            `cbir.retrieval.quality`; None takes a default value.

    Raises:
        InputError: when a file is missing, was built over other vectors, does not match its side file, or cannot be
            opened by this kind.
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
        index = _index(kind, entry.open(stored, gallery.features, about), gallery.features)
        return index if quality is None else index.with_effort(_effort(Path(quality), stored, about))
    except InputError as error:
        made_by = {name: about.get(name) for name in _versions()}
        if made_by == _versions():
            raise
        raise InputError(
            f"The index {stored} was built by {_in_words(made_by)}, and this is {_in_words(_versions())}: remove it "
            "and run again."
        ) from error


def _effort(quality: Path, stored: Path, about: dict[str, Any]) -> int:
    """Return the search parameter that reached the recall asked for."""
    measured = read_json(quality, {"effort": int, "index_sha256": str})
    if measured["index_sha256"] != about.get("file_sha256") or not 0 < measured["effort"] < 2**31:
        raise InputError(f"{quality} was not measured with the index {stored}: remove it and run again.")
    effort: int = measured["effort"]
    return effort


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that an index depends on."""
    return {"scipy": scipy.__version__, "numpy": np.__version__, "python": platform.python_version()}


def _in_words(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
