"""The index kinds by FAISS: files, search, refused files, and measured quality."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from cbir.evaluation import first
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.retrieval import changes, index, quality
from cbir.retrieval.indexes import _faiss, of_methods, options

SETTINGS = {
    **{"kind": "kdtree", "leafsize": 32, "links": 8, "ef_construction": 40, "lists": None, "code_bytes": None},
    **{"memory_mb": 2000, "recall": 0.95, "max_changed": 0.1, "methods": {}},
}


def store(rows: int, columns: int = 8, seed: int = 0) -> FeatureStore:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(40, columns))
    features = (centres[random.integers(0, 40, rows)] + 0.3 * random.normal(size=(rows, columns))).astype(np.float32)
    names = np.array([f"a/{seed}-{row}.png" for row in range(rows)], object)
    about = {"method": "m", "features_sha256": f"vectors {seed} {rows}"}
    return FeatureStore(features, names, np.zeros(rows, np.int64), names, about)


GALLERY, QUERIES = store(1500), store(60, seed=1)


def nearest(k: int, gallery: FeatureStore = GALLERY) -> tuple[Any, Any]:
    """Return distances and rows of the exact search, computed by differences."""
    differences = gallery.features.astype(float) - QUERIES.features[:, None].astype(float)
    distances = np.sqrt((differences**2).sum(axis=2))
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, rows, axis=1), rows


def built(path: Path, kind: str, gallery: FeatureStore = GALLERY, **given: Any) -> Path:
    index.build(gallery, path / "m.json", kind, **options(kind, SETTINGS | given))
    return path / "m.faiss"


def agree(path: Path) -> None:
    """Update the files beside the index so that they describe its current file."""
    side = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(side | {"file_sha256": sha256_file(path)}))
    rows = path.with_suffix(changes.SUFFIX)
    replace(changes.read(rows), file_sha256=sha256_file(path)).write(rows)


@pytest.mark.parametrize(("kind", "least"), [("hnsw", 0.99), ("ivf-pq", 0.9)])
def test_results_have_exact_distances_in_their_order(tmp_path: Path, kind: str, least: float) -> None:
    held = index.read(built(tmp_path, kind), GALLERY)
    distances, rows = held.with_effort(held.efforts()[-1]).search(QUERIES.features, 10)
    exactly, right = nearest(10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, right, strict=True)]) >= least
    every = np.linalg.norm(GALLERY.features.astype(float)[rows] - QUERIES.features[:, None].astype(float), axis=2)
    assert np.allclose(distances, every, rtol=1e-12)
    assert np.all(np.diff(distances, axis=1) >= 0)
    assert distances.shape == exactly.shape


@pytest.mark.parametrize("kind", ["hnsw", "ivf-pq", "auto"])
def test_a_notebook_opens_the_file_with_faiss_alone(tmp_path: Path, kind: str) -> None:
    path = built(tmp_path, kind)
    plain = faiss.read_index(str(path))
    assert (plain.ntotal, plain.d) == (1500, 8)
    assert plain.search(GALLERY.features[7:8], 1)[1].shape == (1, 1)
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["features_sha256"] == "vectors 0 1500"
    assert about["file_sha256"] == sha256_file(path)
    factories = {"hnsw": "HNSW8", "ivf-pq": "IVF38,PQ4", "auto": "Flat"}
    assert (about["kind"], about["factory"]) == (kind, factories[kind])


@pytest.mark.parametrize("kind", ["hnsw", "ivf-pq"])
def test_equal_vectors_give_equal_files_on_any_number_of_threads(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for threads in (1, 3):
        monkeypatch.setattr(_faiss.threads, "count", lambda threads=threads: threads)
        files.append(built(tmp_path, kind).read_bytes())
    assert files[0] == files[1]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("damage", ["", "vectors", "bytes", "half"])
@pytest.mark.parametrize(("kind", "rows"), [("hnsw", 800), ("ivf-pq", 0), ("ivf-pq", 800)])
def test_a_killed_build_continues_and_gives_the_same_file(
    tmp_path: Path, kind: str, rows: int, damage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_faiss, "_BLOCK", 400)
    monkeypatch.setattr(_faiss, "_EVERY", 0)
    monkeypatch.setattr(_faiss, "_TIMES", 0)
    whole = built(tmp_path / "whole", kind).read_bytes()
    save = _faiss.Kept.save

    def save_twice(kept: _faiss.Kept, graph: Any) -> None:
        save(kept, graph)
        if graph.ntotal == rows:
            raise Killed

    monkeypatch.setattr(_faiss.Kept, "save", save_twice)
    with pytest.raises(Killed):
        built(tmp_path, kind)
    part = tmp_path / "m.part"
    assert part.exists() and not (tmp_path / "m.faiss").exists()
    if damage == "vectors":
        about = json.loads((tmp_path / "m.part.json").read_text())
        about["made_from"]["features_sha256"] = "of others"
        (tmp_path / "m.part.json").write_text(json.dumps(about))
    if damage == "bytes":
        part.write_bytes(part.read_bytes()[:-1] + b"x")
    if damage == "half":
        (tmp_path / "m.part.json").unlink()
    monkeypatch.setattr(_faiss.Kept, "save", save)
    caplog.set_level("INFO", "cbir")
    assert built(tmp_path, kind).read_bytes() == whole
    assert (f"goes on after {rows} rows" in caplog.text) == (damage == "")
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("rows", [1, 2, 40, 255, 256])
@pytest.mark.parametrize("kind", ["hnsw", "ivf-pq", "auto"])
def test_all_images_of_small_galleries_are_found(tmp_path: Path, kind: str, rows: int) -> None:
    few = store(rows)
    held = index.read(built(tmp_path, kind, few), few)
    distances, found = held.search(QUERIES.features, rows)
    assert np.array_equal(np.sort(found, axis=1), np.tile(np.arange(rows), (60, 1)))
    assert np.allclose(distances, nearest(rows, few)[0], rtol=1e-12)


def test_equal_vectors_are_sorted_by_row(tmp_path: Path) -> None:
    same = store(300)
    same.features[100:120] = same.features[5]
    held = index.read(built(tmp_path, "hnsw", same), same).with_effort(512)
    _, rows = held.search(same.features[5:6], 21)
    assert rows[0].tolist() == [5, *range(100, 120)]


def test_codes_must_divide_the_vectors(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"index\.code_bytes is 3, which does not divide the 8 values.* of 1, 2, 4, 8\."
    ):
        built(tmp_path, "ivf-pq", code_bytes=3)


def test_the_automatic_choice_follows_the_documented_rule() -> None:
    # By hand: 1,000,000 x (4 x 128 + 8 x 32 + 20) bytes are 788 MB, with 16 links 660 MB, with 8 596 MB.
    cases = {
        (9_999, 128, 1): ("flat", 0),
        (10_000, 128, 2000): ("hnsw", 32),
        (1_000_000, 128, 788): ("hnsw", 32),
        (1_000_000, 128, 787): ("hnsw", 16),
        (1_000_000, 128, 600): ("hnsw", 8),
        (1_000_000, 128, 500): ("ivf-pq", 64),
        # 1,000,000 x (32 + 8) and 4 x 128 x (4,096 + 256) bytes are 42.2 MB.
        (1_000_000, 128, 43): ("ivf-pq", 32),
        (1_000_000, 128, 1): ("ivf-pq", 1),
        (1_000_000, 1280, 2000): ("ivf-pq", 64),
    }
    assert {case: _faiss.choose(*case[:2], case[2] * 10**6) for case in cases} == cases
    # 4 sqrt(n) is 400, 1,265, 4,000 and 12,649.
    assert [_faiss.lists_for(10**power) for power in (4, 5, 6, 7)] == [512, 1024, 4096, 16384]


def test_estimated_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    many = store(2000)
    path = built(tmp_path, "hnsw", many, links=16, ef_construction=8)
    assert path.stat().st_size == pytest.approx(_faiss.hnsw_bytes(2000, 8, 16), rel=0.03)
    path = built(tmp_path, "ivf-pq", many, code_bytes=2)
    assert path.stat().st_size == pytest.approx(_faiss.ivf_pq_bytes(2000, 8, 2), rel=0.15)


def test_without_faiss_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(InputError, match=r"needs FAISS, which is not installed: run `make extras`"):
        built(tmp_path, "hnsw")


def refused(path: Path, reason: str, gallery: FeatureStore = GALLERY) -> None:
    with pytest.raises(InputError, match=reason):
        index.read(path, gallery)


def test_damage_is_detected_before_faiss_reads_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = built(tmp_path, "hnsw")
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(faiss, "read_index", lambda *_: pytest.fail("it was read"))
    refused(path, r"m\.faiss is not the file that .*m\.json describes")
    refused(path, "built over other vectors", store(1500, seed=3))


def test_an_index_of_another_gallery_is_refused(tmp_path: Path) -> None:
    path = built(tmp_path, "hnsw")
    faiss.write_index(faiss.IndexFlatL2(8), str(path))
    agree(path)
    refused(path, "is not of the vectors in its feature store")
    path.write_bytes(b"no index at all")
    agree(path)
    refused(path, r"m\.faiss cannot be read by FAISS \(")


@pytest.mark.parametrize("part", ["neighbors", "offsets", "levels", "entry_point"])
def test_a_graph_with_nodes_out_of_range_is_refused(tmp_path: Path, part: str) -> None:
    path = built(tmp_path, "hnsw")
    plain = faiss.read_index(str(path))
    if part == "entry_point":
        plain.hnsw.entry_point = 1500
    else:
        values = faiss.vector_to_array(getattr(plain.hnsw, part))
        values[3] = 1500
        faiss.copy_array_to_vector(values, getattr(plain.hnsw, part))
    faiss.write_index(plain, str(path))
    agree(path)
    refused(path, r"(cannot be read by FAISS|is not of the vectors)")


def test_the_search_parameter_is_raised_until_the_recall_is_reached(tmp_path: Path) -> None:
    path = built(tmp_path, "ivf-pq", code_bytes=1)
    side = json.loads(path.with_suffix(".json").read_text())
    held = index.read(path, GALLERY)
    found = quality.measure(held, side, QUERIES, 3, 0.98, seed=0)
    efforts = [row["effort"] for row in found["tried"]]
    assert efforts == held.efforts()[: len(efforts)]
    assert len(efforts) > 1
    lowest = [min(row[f"recall_at_{at}"] for at in ("1", "10", "k")) for row in found["tried"]]
    assert [value >= 0.98 for value in lowest] == [False] * (len(lowest) - 1) + [True]
    assert found["met"] is True
    assert found["parameter"] == "nprobe"
    assert found["effort"] == efforts[-1]
    # The recall is that of the search with this parameter: of all pairs of a query and one of its nearest, those found.
    _, rows = held.with_effort(found["effort"]).search(QUERIES.features, 10)
    pairs = [len(set(a) & set(b)) for a, b in zip(rows, nearest(10)[1], strict=True)]
    assert found["recall_at_10"] == pytest.approx(sum(pairs) / 600)
    assert found["times"]["median_ms"] > 0
    again = quality.measure(held, side, QUERIES, 3, 0.98, seed=0)
    assert {**again, "times": None} == {**found, "times": None}

    measured = tmp_path / "m.quality.json"
    measured.write_text(json.dumps(found))
    assert index.read(path, GALLERY, measured).effort == found["effort"]
    measured.write_text(json.dumps(found | {"index_sha256": "of another"}))
    with pytest.raises(InputError, match=r"m\.quality\.json was not measured with the index .*m\.faiss"):
        index.read(path, GALLERY, measured)


def test_many_results_need_a_higher_parameter_than_few() -> None:
    # A list holds 50 of 1,500 rows: 4 of them hold no 200 candidates, and to compare all images would find every one.
    held = index.over(GALLERY.features, "ivf-pq", lists=30, code_bytes=8)
    assert held.with_effort(1).share_compared_with_all(QUERIES.features, 200) > 0.9
    found, reached = first.searcher(held, GALLERY, QUERIES, 200, 0.9, seed=0)
    assert found.effort is not None and found.effort >= 4
    assert found.share_compared_with_all(QUERIES.features, 200) <= 0.05
    exactly = nearest(200)[1]
    shares = [
        len(np.intersect1d(*pair)) / 200 for pair in zip(found.search(QUERIES.features, 200)[1], exactly, strict=True)
    ]
    assert reached == pytest.approx(np.mean(shares), abs=1e-3) and reached >= 0.9


def test_if_the_recall_cannot_be_reached_the_highest_parameter_is_used(tmp_path: Path) -> None:
    path = built(tmp_path, "hnsw", links=2, ef_construction=4)
    held = index.read(path, GALLERY)
    found = quality.measure(held, {}, QUERIES, 3, 1.1, seed=0)
    assert (found["met"], found["effort"]) == (False, held.efforts()[-1])


def test_a_row_at_the_distance_of_the_last_counts_as_found() -> None:
    # The second result is as far away as the second nearest; the third is not among the three nearest.
    assert quality.recall(np.array([[1.0, 2.0, 5.0]]), np.array([[1.0, 2.0, 3.0]]), 3) == pytest.approx(2 / 3)
    assert quality.recall(np.array([[1.0, 2.0, 5.0]]), np.array([[1.0, 2.0, 3.0]]), 2) == 1


def test_each_method_can_have_its_own_kind() -> None:
    settings = SETTINGS | {"methods": {"b": {"kind": "hnsw", "links": 16, "recall": 0.9, "max_changed": 0.2}}}
    assert of_methods(settings, {"leafsize": 16}, ["a", "b"]) == {
        "a": ("kdtree", {"leafsize": 32}, 1.0, 0.0),
        "b": ("hnsw", {"links": 16, "ef_construction": 40}, 0.9, 0.2),
    }


@pytest.mark.parametrize(
    ("given", "rows", "reason"),
    [
        ({"recall": 0.9}, {}, "index.recall is set, but index.kind kdtree does not take it"),
        ({"links": 4}, {"a": {"kind": "auto"}}, "index.links is set, but index.kind auto and kdtree does not take it"),
        ({"max_changed": 0}, {}, "index.max_changed is set, but index.kind kdtree does not take it"),
        ({}, {"a": {"kind": "hnsw", "leafsize": 4}}, "index.methods.a.leafsize is set, but index.kind hnsw does not"),
    ],
)
def test_an_option_that_no_kind_takes_is_refused(given: dict[str, Any], rows: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        of_methods(SETTINGS | given | {"methods": rows}, given, ["a", "b"])
    assert of_methods(SETTINGS | {"methods": {"a": {"kind": "hnsw"}}}, {"recall": 0.9, "leafsize": 4}, ["a", "b"])
