"""Approximate indexes that are kept while rows are added to their gallery and removed from it."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file, sha256_json
from cbir.retrieval import changes, index
from cbir.retrieval.indexes import REGISTRY

OPTIONS: dict[str, dict[str, Any]] = {
    "hnsw": {"links": 8, "ef_construction": 40},
    "ivf-pq": {"lists": None, "code_bytes": None},
    "auto": {"memory_mb": 2000, "ef_construction": 40},
}
CENTRES = np.random.default_rng(9).normal(size=(40, 8))


def vectors(count: int, seed: int, cluster: int | None = None) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    chosen = random.integers(0, len(CENTRES), count) if cluster is None else np.full(count, cluster)
    return (CENTRES[chosen] + 0.3 * random.normal(size=(count, 8))).astype(np.float32)


def store(features: NDArray[Any]) -> FeatureStore:
    names = np.arange(len(features)).astype(str).astype(object)
    about = {"method": "m", "features_sha256": sha256_json(features.tolist())}
    return FeatureStore(features.astype(np.float32), names, np.zeros(len(features), np.int64), names, about)


def changed(features: NDArray[Any], added: NDArray[Any], removed: NDArray[Any]) -> FeatureStore:
    """Return a gallery without some rows, with others at random places."""
    left = np.delete(features, removed, axis=0)
    places = np.random.default_rng(5).integers(0, len(left) + 1, len(added))
    return store(np.insert(left, places, added, axis=0))


BASE, QUERIES = vectors(1500, 0), vectors(60, 1)


def build(path: Path, gallery: FeatureStore, kind: str = "hnsw", most: float = 0.2, **given: Any) -> index.Index:
    index.build(gallery, path / "m.json", kind, most, **(OPTIONS[kind] | given))
    return index.read(path / "m.json", gallery)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a folder with an index over `BASE` of each kind."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in OPTIONS}
    for kind, folder in folders.items():
        build(folder, store(BASE), kind)
    return folders


def exactly(gallery: FeatureStore, k: int, queries: NDArray[Any] = QUERIES) -> tuple[Any, Any]:
    """Return distances and rows of the exact search, computed by differences."""
    differences = gallery.features.astype(float) - queries[:, None].astype(float)
    distances = np.sqrt((differences**2).sum(axis=2))
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, rows, axis=1), rows


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize(("kind", "least"), [("hnsw", 0.99), ("ivf-pq", 0.9), ("auto", 1)])
@pytest.mark.parametrize(("more", "fewer"), [(135, 0), (0, 135), (135, 135), (1, 0)])
def test_the_file_is_kept_and_the_recall_with_it(
    bases: dict[str, Path],
    tmp_path: Path,
    kind: str,
    least: float,
    more: int,
    fewer: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(bases[kind], tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "m.faiss").read_bytes()
    gallery = changed(BASE, vectors(more, 2), np.random.default_rng(3).choice(1500, fewer, replace=False))
    caplog.set_level("INFO", "cbir")
    held = build(tmp_path, gallery, kind)
    assert (tmp_path / "m.faiss").read_bytes() == before
    assert f"the index m.faiss is kept: {more} rows were added and {fewer} removed since it was built" in caplog.text
    about = json.loads((tmp_path / "m.json").read_text())
    assert [about[f"{name}_rows"] for name in ("built", "added", "removed")] == [1500, more, fewer]
    assert (about["rows"], about["features_sha256"]) == (1500 + more - fewer, gallery.about["features_sha256"])
    distances, rows = held.with_effort(held.efforts()[-1]).search(QUERIES, 10)
    right = exactly(gallery, 10)[1]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, right, strict=True)]) >= least
    every = np.linalg.norm(gallery.features.astype(float)[rows] - QUERIES[:, None].astype(float), axis=2)
    assert np.allclose(distances, every, rtol=1e-12)
    assert np.all(np.diff(distances, axis=1) >= 0)
    # Each added row is found by its own vector, at the distance 0, whatever the search parameter.
    own = np.flatnonzero(~(gallery.features[:, None] == BASE).all(axis=2).any(axis=1))
    assert len(own) == more
    if more:
        assert np.array_equal(held.with_effort(held.efforts()[0]).search(gallery.features[own], 1)[1][:, 0], own)


@pytest.mark.parametrize("kind", OPTIONS)
def test_rows_are_found_where_most_of_the_nearest_were_removed(
    bases: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    # Of the rows nearest to the queries all are gone, far more than their share in the gallery.
    shutil.copytree(bases[kind], tmp_path, dirs_exist_ok=True)
    queries = vectors(20, 4, cluster=7)
    removed = exactly(store(BASE), 120, queries[:1])[1][0]
    gallery = changed(BASE, vectors(0, 0), removed)
    held = build(tmp_path, gallery, kind)
    held = held.with_effort(held.efforts()[-1])
    right, rows = exactly(gallery, 10, queries)[1], held.search(queries, 10)[1]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, right, strict=True)]) >= 0.99
    assert held.share_compared_with_all(queries, 10) == 0


def test_all_rows_can_be_asked_for(tmp_path: Path) -> None:
    build(tmp_path, store(BASE[:300]), most=1)
    gallery = changed(BASE[:300], vectors(100, 2), np.arange(50, 150))
    distances, rows = build(tmp_path, gallery, most=1).search(QUERIES, 300)
    assert np.array_equal(np.sort(rows, axis=1), np.tile(np.arange(300), (60, 1)))
    assert np.allclose(distances, exactly(gallery, 300)[0], rtol=1e-12)


def test_rows_in_another_order_are_no_change(bases: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(bases["hnsw"], tmp_path, dirs_exist_ok=True)
    gallery = store(BASE[np.random.default_rng(1).permutation(1500)])
    held = build(tmp_path, gallery, most=0.001)
    assert json.loads((tmp_path / "m.json").read_text())["added_rows"] == 0
    assert np.array_equal(held.with_effort(512).search(QUERIES, 10)[1], exactly(gallery, 10)[1])


def test_changes_are_counted_since_the_index_was_built(
    bases: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(bases["hnsw"], tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "m.faiss").read_bytes()
    caplog.set_level("INFO", "cbir")
    build(tmp_path, changed(BASE, vectors(80, 2), np.arange(20)), most=0.1)
    assert "kept: 80 rows were added and 20 removed since it was built over 1,500; it is built anew when more" in (
        caplog.text
    )
    # A row that returns is no longer removed: 130 and 20 are 10 % of 1,500, and one more is too much.
    build(tmp_path, changed(BASE, vectors(131, 2), np.arange(19)), most=0.1)
    assert (tmp_path / "m.faiss").read_bytes() == before
    assert "131 rows were added and 19 removed" in caplog.text
    build(tmp_path, changed(BASE, vectors(132, 2), np.arange(19)), most=0.1)
    assert "132 rows were added and 19 removed since it was built over 1,500, more than 10 % of them" in caplog.text
    assert json.loads((tmp_path / "m.json").read_text())["built_rows"] == 1613


def test_equal_vectors_are_matched_as_often_as_they_are_there(tmp_path: Path) -> None:
    features = BASE.copy()
    features[[10, 20, 30]] = features[0]
    build(tmp_path, store(features))
    # Of four equal rows two are left; another vector, which was there once, is there three times.
    gallery = store(np.insert(np.delete(features, [0, 30], axis=0), 700, features[[500, 500]], axis=0))
    held = build(tmp_path, gallery).with_effort(512)
    about = json.loads((tmp_path / "m.json").read_text())
    assert (about["added_rows"], about["removed_rows"]) == (2, 2)
    # Rows 10 and 20 have moved up by one, row 500 by two.
    assert sorted(held.search(features[:1], 2)[1][0]) == [9, 19]
    assert sorted(held.search(features[500:501], 3)[1][0]) == [498, 700, 701]
    assert np.array_equal(held.search(QUERIES, 10)[1], exactly(gallery, 10)[1])


@pytest.mark.parametrize("seed", range(20))
def test_keys_are_matched_once_each(seed: int) -> None:
    random = np.random.default_rng(seed)
    built, now = (random.integers(0, 6, random.integers(0, 12)).astype(np.uint64) for _ in range(2))
    found = changes.match(built, now)
    kept = found >= 0
    assert np.array_equal(now[found[kept]], built[kept])
    assert len(set(found[kept])) == kept.sum()
    assert Counter(built[kept].tolist()) == Counter(built.tolist()) & Counter(now.tolist())


def test_keys_differ_for_vectors_that_differ_in_any_bit() -> None:
    row = vectors(1, 0)[0]
    bits = np.tile(row.view(np.uint32), (8 * 32, 1))
    for place in range(8 * 32):
        bits[place, place // 32] ^= np.uint32(1 << place % 32)
    signs = row * np.array([[1 - 2 * (number >> place & 1) for place in range(8)] for number in range(1, 256)])
    orders = np.array([np.roll(row, shift) for shift in range(1, 8)])
    # Vectors of few values, as codes and histograms have: every one of four bits at every place.
    codes = np.array([[number >> place & 1 for place in range(8)] for number in range(256)])
    every = np.vstack([row[None], bits.view(np.float32), signs, orders, codes]).astype(np.float32)
    assert len(np.unique(changes.keys(every))) == len(np.unique(every.view("V32")))
    # Of so many vectors, some would have equal keys of 32 bits: 300,000 squared / 2^33 pairs are 10.
    many = np.random.default_rng(0).normal(size=(300_000, 4)).astype(np.float32)
    assert len(np.unique(changes.keys(many))) == len(many)
    # A vector's key depends on nothing but its bytes.
    assert np.array_equal(changes.keys(every[::-1]), changes.keys(every)[::-1])
    assert changes.keys(every[5:6])[0] == changes.keys(every)[5]


def test_keys_of_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = changes.keys(BASE)
    monkeypatch.setattr(changes, "_VALUES", 56)
    assert np.array_equal(changes.keys(BASE), whole)


@pytest.mark.parametrize("offset", [0, 1e4, 1e-25])
def test_added_rows_far_from_the_origin_are_found_exactly(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_ROWS", 100)
    monkeypatch.setattr(changes, "_DISTANCES", 2000)
    features = (vectors(500, 3) * (offset if offset < 1 else 1) + max(offset, 0)).astype(np.float32)
    queries = features[:30] * np.float32(1 + 1e-6)
    held = changes.Changes(features, np.arange(100))
    assert np.array_equal(held.added, np.arange(100, 500))
    right = 100 + exactly(store(features[100:]), 5, queries)[1]
    for near, nearest in zip(held.nearest_added(queries, 5), right, strict=True):
        assert set(nearest) <= set(near)
        assert offset < 1e-20 or len(near) < 50


@pytest.mark.parametrize(
    ("reason", "given", "damage"),
    [
        ("other settings or code than now (options)", {"links": 9}, None),
        ("other settings or code than now (code)", {"code": "edited"}, None),
        ("built anew: 1500 rows were added and 1500 removed", {"gallery": store(BASE * np.float32(1.5))}, None),
        ("its file was changed or damaged", {}, "m.faiss"),
        ("m.rows.h5 is damaged", {}, "m.rows.h5"),
        ("", {"most": 0}, None),
    ],
)
def test_it_is_built_anew(
    bases: dict[str, Path],
    tmp_path: Path,
    reason: str,
    given: dict[str, Any],
    damage: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "cbir")
    given = {"gallery": store(BASE[::-1]), **given}
    shutil.copytree(bases["hnsw"], tmp_path / "kept")
    (tmp_path / "new").mkdir()
    if damage:
        path = tmp_path / "kept" / damage
        data = bytearray(path.read_bytes())
        data[-200] ^= 1
        path.write_bytes(data)
    build(tmp_path / "kept", **given)
    build(tmp_path / "new", **given)
    assert files(tmp_path / "kept") == files(tmp_path / "new")
    assert reason in caplog.text.replace(",500", "500")
    assert bool(caplog.text) == bool(reason)


def test_another_kind_method_or_version_builds_it_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "cbir")
    gallery = store(BASE)
    build(tmp_path, gallery, "auto")
    assert build(tmp_path, gallery, "hnsw").kind == "hnsw"
    assert "than now (kind, options)" in caplog.text
    build(tmp_path, replace(gallery, about=gallery.about | {"method": "other"}))
    assert "than now (method)" in caplog.text
    caplog.clear()
    monkeypatch.setattr(REGISTRY["hnsw"], "versions", lambda: {"faiss": "0"})
    build(tmp_path, replace(gallery, about=gallery.about | {"method": "other"}))
    assert "than now (versions)" in caplog.text


class Killed(BaseException):
    pass


@pytest.mark.parametrize("most", [0.2, 0.01])
@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_killed_job_leaves_files_that_the_next_one_uses_or_replaces(
    bases: dict[str, Path], tmp_path: Path, most: float, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bases["hnsw"], tmp_path, dirs_exist_ok=True)
    # Snakemake removes the side file before the job.
    (tmp_path / "m.json").unlink()
    gallery = changed(BASE, vectors(80, 2), np.arange(20))
    left = [written]
    replace_ = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return replace_(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    if written < 2 or most < 0.1:
        with pytest.raises(Killed):
            build(tmp_path, gallery, most=most)
        assert not (tmp_path / "m.json").exists()
    monkeypatch.undo()
    held = build(tmp_path, gallery, most=most).with_effort(512)
    assert np.array_equal(held.search(QUERIES, 10)[1], exactly(gallery, 10)[1])
    assert {path.name for path in tmp_path.iterdir()} == {"m.json", "m.faiss", "m.rows.h5"}


def test_rows_of_another_index_or_gallery_are_refused(tmp_path: Path) -> None:
    for name, features in (("a", BASE), ("b", vectors(1500, 8))):
        (tmp_path / name).mkdir()
        build(tmp_path / name, store(features))
    path, gallery = tmp_path / "a/m.rows.h5", store(BASE)
    rows = changes.read(path)
    path.write_bytes((tmp_path / "b/m.rows.h5").read_bytes())
    with pytest.raises(InputError, match=r"m\.rows\.h5 is not of the index that .*m\.json describes: remove it and"):
        index.read(path.with_name("m.json"), gallery)
    for row, reason in (
        (np.arange(1500) + 1, "names images that do not exist"),
        (np.zeros(1500, np.int64), "is damaged"),
        (np.arange(1500) - 2, "is damaged"),
    ):
        replace(rows, row=row).write(path)
        with pytest.raises(InputError, match=reason):
            index.read(path.with_name("m.json"), gallery)
    data = bytearray((tmp_path / "b/m.rows.h5").read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"m\.rows\.h5 is damaged \(its checksum is another one\): remove it and run"):
        index.read(path.with_name("m.json"), gallery)
    path.unlink()
    with pytest.raises(InputError, match=r"m\.rows\.h5 does not exist: run the workflow first"):
        index.read(path.with_name("m.json"), gallery)
    assert sha256_file(tmp_path / "a/m.faiss") == rows.file_sha256
