"""`cbir.open`, the search page and refinements search with a method's approximate index."""

import json
from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.features import store
from cbir.feedback import records
from cbir.feedback.refinement import Round
from cbir.feedback.rounds import Search
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.results import Results
from cbir.retrieval import index
from cbir.retrieval.indexes import hnsw
from cbir.retrieval.searching import searched
from cbir.web.library import Library
from web.made import write_results

ONLY = [3, 7, 8, 15, 17]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run whose method ``tiny`` has an index that finds only some rows."""
    results = write_results(tmp_path)
    gallery = store.read(results / "features/tiny/train.h5")
    index.build(gallery, results / "index/tiny.json", "hnsw", links=4, ef_construction=8)
    side = json.loads((results / "index/tiny.json").read_text())
    measured = {"effort": 32, "index_sha256": side["file_sha256"]}
    (results / "index/tiny.quality.json").write_text(json.dumps(measured))

    def some(held: object, queries: np.ndarray, k: int, effort: int) -> np.ndarray:
        assert effort == 32
        return np.tile([*ONLY, -1], (len(queries), 1))

    monkeypatch.setattr(hnsw, "candidates", some)
    return results


def by_hand(results: Path, k: int) -> list[str]:
    """Return the nearest of the rows that the index finds, for the test image sea/6.png."""
    gallery, queries = (store.read(results / f"features/tiny/{split}.h5") for split in ("train", "test"))
    distances = np.linalg.norm(gallery.features[ONLY] - queries.features[2], axis=1)
    return [str(gallery.image_id[ONLY[place]]) for place in np.argsort(distances)[:k]]


def test_the_vectors_stay_in_their_file(folder: Path) -> None:
    gallery, held = searched(Results(folder), "tiny")
    assert isinstance(gallery.features, np.memmap)
    assert np.array_equal(gallery.features, store.read(folder / "features/tiny/train.h5").features)
    assert held is not None
    with pytest.raises(ValueError, match="read-only"):
        gallery.features[0, 0] = 1
    # The other method has no index, and is in memory.
    other, nothing = searched(Results(folder), "unit")
    assert nothing is None and not isinstance(other.features, np.memmap)


def test_a_search_by_name_takes_what_the_index_finds(folder: Path) -> None:
    assert list(cbir.open(folder).search("sea/6.png", "tiny", k=3)["image_id"]) == by_hand(folder, 3)


def test_the_search_page_and_a_refinement_begin_with_what_the_index_finds(folder: Path) -> None:
    held = Library(folder).methods["tiny"]
    query = held.vectors["sea/6.png"]
    search = Search(held.gallery, query, 3, "rocchio", Weights(1, 0.75, 0.15), "sea/6.png", "sea")
    begun = search.start()
    assert begun.image_ids == by_hand(folder, 3)
    train = store.read(folder / "features/tiny/train.h5")
    gallery = records.gallery(
        train, ["apple", "leaf", "sea"], index.read(folder / "index/tiny.json", train).with_effort(32)
    )
    again = Search(gallery, query, 3, "rocchio", Weights(1, 0.75, 0.15), "sea/6.png", "sea").start()
    assert again.as_json() == begun.as_json()
    # Judgements rank the whole gallery.
    judged = search.judge(begun, Round(relevant=(0,)))
    assert len(judged.order) == 18
    assert judged.relevant.size == 1


def test_more_results_than_the_index_finds_come_from_all_images(folder: Path) -> None:
    found = cbir.open(folder).search("sea/6.png", "tiny", k=18)
    assert len(set(found["image_id"])) == 18


def test_an_index_without_its_measurement_is_refused(folder: Path) -> None:
    (folder / "index/tiny.quality.json").unlink()
    with pytest.raises(InputError, match=r"tiny\.quality\.json does not exist"):
        cbir.open(folder).search("sea/6.png", "tiny")
