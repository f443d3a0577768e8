"""The index of a method: one of the kinds in `cbir.retrieval.indexes` over its gallery, and a side file about it."""

import logging
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from cbir.retrieval import changes, exact
from cbir.retrieval.changes import Changes, Rows
from cbir.retrieval.indexes import REGISTRY, is_approximate
from cbir.retrieval.indexes._faiss import Kept

# Which of the values of the search parameter is used before recall is measured: the third, efSearch 64 or nprobe 4.
_USUAL_STEP = 2
# How many times as many candidates are asked for, where too many of those found were removed from the gallery.
_MORE = 4

log = logging.getLogger("cbir")


@dataclass(frozen=True, eq=False)
class Index:
    """An index in memory.

    Attributes:
        kind: its name in `cbir.retrieval.indexes`.
        held: what that kind's ``build`` or ``open`` returned.
        features: (n, d), the gallery; the candidates of an approximate kind are ranked by them.
        effort: the value of an approximate kind's search parameter; None for an exact kind.
        changes: for an approximate kind, the rows that changed since ``held`` was built; None for an exact kind.
    """

    kind: str
    held: Any
    features: NDArray[Any]
    effort: int | None = None
    changes: Changes | None = None

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
        for place, near in enumerate(self._candidates(queries, k)):
            if near is None:
                # Some nodes of a graph may be unreachable, and the lists searched may hold fewer than k rows.
                (distances[place],), (rows[place],) = exact.nearest(queries[place : place + 1], self.features, k)
                continue
            exactly = exact.euclidean(queries[place], self.features[near])
            if not np.isfinite(exactly).all():
                raise InputError("The feature store holds values that are not finite: remove it and run again.")
            order = np.lexsort((near, exactly))[:k]
            distances[place], rows[place] = exactly[order], near[order]
        return distances, rows

    def _candidates(self, queries: NDArray[Any], k: int) -> Iterator[NDArray[np.int64] | None]:
        """Yield for each query (q, d) the rows among which its k nearest are looked for; None if they are too few."""
        changed, entry = self.changes, REGISTRY.get_entry(self.kind)
        assert changed is not None
        built, needed = len(changed.row), min(k, changed.kept)
        # Of the rows found as many were removed as of all rows, on average.
        asked = min(-(-needed * built // max(changed.kept, 1)), built)
        everything = (
            entry.candidates(self.held, queries, asked, self.effort)
            if needed
            else np.empty((len(queries), 0), np.int64)
        )
        for place, (found, added) in enumerate(zip(everything, changed.nearest_added(queries, k), strict=True)):
            near, more = changed.gallery_rows(found), asked
            # Near a query more may have been removed than on average: at least half as many rows as usual must be left.
            wanted = max(needed, len(found) * changed.kept // (2 * built)) if built else 0
            while len(near) < wanted and found.min(initial=0) >= 0 and more < built:
                more = min(_MORE * more, built)
                (found,) = entry.candidates(self.held, queries[place : place + 1], more, self.effort)
                near = changed.gallery_rows(found)
            yield None if len(near) < needed else np.concatenate([near, added])

    def share_compared_with_all(self, queries: NDArray[Any], k: int) -> float:
        """Return the share of queries (q, d) for which so few candidates are found that all images are compared."""
        if self.effort is None:
            return 1.0
        return float(np.mean([near is None for near in self._candidates(queries, k)]))

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


def _index(kind: str, held: Any, features: NDArray[Any], row: NDArray[np.int64] | None = None) -> Index:
    if not is_approximate(kind):
        return Index(kind, held, features)
    # A value that misses little, until `read` sets the measured one.
    efforts = REGISTRY.get_entry(kind).efforts(held)
    return Index(kind, held, features, efforts[min(_USUAL_STEP, len(efforts) - 1)], Changes(features, row))


def build(
    gallery: FeatureStore,
    path: str | Path,
    kind: str = "kdtree",
    max_changed: float = 0,
    code: str = "",
    **options: Any,
) -> None:
    """Build the index of a gallery, and write it and a side file (.json) that states what it was built from.

    If the files of an approximate index are there, and few rows were added or removed since it was built, it is kept:
    only the side file and ``.rows.h5``, which says where its rows are now, are written.

    Args:
        gallery: the method's train features.
        path: the file of the index; its suffix is replaced by that of the kind.
        kind: a name in `cbir.retrieval.indexes`.
        max_changed: an approximate index is kept while at most this share of its rows was added or removed; 0 always
            builds it.
        code: an index that other code built is not kept.
        options: of this kind.

    Raises:
        InputError: when there is no such kind.
    """
    entry, side = REGISTRY.get_entry(kind), Path(path).with_suffix(".json")
    about = {
        "kind": kind,
        "method": gallery.about.get("method"),
        "rows": len(gallery.features),
        "dimension": gallery.features.shape[1],
        **options,
        "features_sha256": gallery.about["features_sha256"],
        **_versions(),
    }
    stored = side.with_suffix(entry.SUFFIX or side.suffix)
    if is_approximate(kind):
        rows = _rows(gallery, stored, kind, max_changed, code, options)
        removed = int(np.count_nonzero(rows.row < 0))
        about |= rows.about["described"] | {
            "built_rows": len(rows.row),
            "added_rows": about["rows"] - len(rows.row) + removed,
            "removed_rows": removed,
        }
        about["file_sha256"] = rows.file_sha256
    else:
        held = entry.build(gallery.features, **options)
        if entry.SUFFIX:
            about["file_sha256"] = _save(kind, held, stored)
    write_json(side, about)
    # Also those of a kind that was asked for before.
    for part in (side.with_suffix(".part"), side.with_suffix(".part.json")):
        part.unlink(missing_ok=True)


def _save(kind: str, held: Any, stored: Path) -> str:
    """Write the file of an index; return its hash."""
    with atomic(stored) as temporary:
        REGISTRY.get_entry(kind).save(held, temporary)
    return sha256_file(stored)


def _rows(
    gallery: FeatureStore, stored: Path, kind: str, max_changed: float, code: str, options: dict[str, Any]
) -> Rows:
    """Keep the file of an approximate index or build it; write where its rows are now, and return that."""
    entry, path = REGISTRY.get_entry(kind), stored.with_suffix(changes.SUFFIX)
    made_from = {
        **{"kind": kind, "method": gallery.about.get("method"), "dimension": gallery.features.shape[1], "code": code},
        **{"options": options, "versions": {**_versions(), **getattr(entry, "versions", dict)()}},
    }
    rows, keys = None, None
    if max_changed and path.exists() and stored.exists():
        rows, keys = _still_good(gallery, stored, path, max_changed, made_from)
    if rows is None:
        kept = _kept(stored.with_suffix(".json"), gallery, kind, options)
        held = entry.build(gallery.features, **options, **({} if kept is None else {"kept": kept}))
        digest, keys = _save(kind, held, stored), changes.keys(gallery.features) if keys is None else keys
        about = {"made_from": made_from, "described": entry.describe(held)}
        rows = Rows(keys, np.arange(len(keys)), gallery.about["features_sha256"], digest, about)
    rows.write(path)
    return rows


def _still_good(
    gallery: FeatureStore, stored: Path, path: Path, max_changed: float, made_from: dict[str, Any]
) -> tuple[Rows | None, NDArray[np.uint64] | None]:
    """Return where the rows of an index file are now, None if it must be built; and the gallery's keys if known."""
    anew = f"the index {stored.name} is built anew: "
    try:
        old = changes.read(path)
    except InputError as error:
        log.info("%s%s", anew, error)
        return None, None
    before = old.about.get("made_from")
    if before != made_from or not isinstance(old.about.get("described"), dict):
        before = before if isinstance(before, dict) else {}
        others = [name for name in made_from if before.get(name) != made_from[name]]
        log.info("%sit was built with other settings or code than now (%s)", anew, ", ".join(others))
        return None, None
    with ThreadPoolExecutor(1) as pool:
        # Both read large files, so they are read at the same time.
        digest = pool.submit(sha256_file, stored)
        keys = changes.keys(gallery.features)
        row = changes.match(old.keys, keys)
        if digest.result() != old.file_sha256:
            log.info("%sits file was changed or damaged", anew)
            return None, keys
    removed = int(np.count_nonzero(row < 0))
    added, most = len(keys) - len(row) + removed, int(max_changed * len(row))
    changed = f"{added:,} rows were added and {removed:,} removed since it was built over {len(row):,}"
    if added + removed > most:
        log.info("%s%s, more than %g %% of them (index.max_changed)", anew, changed, 100 * max_changed)
        return None, keys
    log.info(
        "the index %s is kept: %s; it is built anew when more than %s have changed", stored.name, changed, f"{most:,}"
    )
    return replace(old, row=row, features_sha256=gallery.about["features_sha256"]), keys


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
    row = _read_rows(side, gallery, about).row if is_approximate(kind) else None
    try:
        index = _index(kind, entry.open(stored, gallery.features, about), gallery.features, row)
        return index if quality is None else index.with_effort(_effort(Path(quality), stored, about))
    except InputError as error:
        made_by = {name: about.get(name) for name in _versions()}
        if made_by == _versions():
            raise
        raise InputError(
            f"The index {stored} was built by {_in_words(made_by)}, and this is {_in_words(_versions())}: remove it "
            "and run again."
        ) from error


def _read_rows(side: Path, gallery: FeatureStore, about: dict[str, Any]) -> Rows:
    """Return where the rows of an approximate index are now."""
    path = side.with_suffix(changes.SUFFIX)
    rows = changes.read(path)
    belongs = (rows.file_sha256, rows.features_sha256) == (about.get("file_sha256"), about.get("features_sha256"))
    if not belongs or len(rows.row) != about.get("built_rows"):
        raise InputError(f"{path} is not of the index that {side} describes: remove it and run again.")
    return rows


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
