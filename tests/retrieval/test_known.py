"""Neighbours that are carried over from an earlier search are those of a search from scratch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cbir.files import memory
from cbir.retrieval import exact, known

Features = NDArray[np.float32]


def on_a_grid(count: int, seed: int) -> Features:
    """Vectors on a grid, among which many distances are equal, and some vectors, too."""
    return np.random.default_rng(seed).integers(0, 4, (count, 4)).astype(np.float32)


def searched(queries: Features, gallery: Features, k: int, path: Path, made_by: str = "code") -> None:
    """Search with the file, and compare with the distances of all pairs, sorted by distance, then by row."""
    distances, places = known.nearest(queries, gallery, k, path=path, made_by=made_by)
    every = np.sqrt(((queries[:, None].astype(float) - gallery[None]) ** 2).sum(axis=2))
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    assert np.array_equal(places, order)
    assert np.allclose(distances, np.take_along_axis(every, order, axis=1), rtol=1e-12)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the numbers of queries and gallery rows of each exact search."""
    sizes: list[tuple[int, int]] = []
    nearest = exact.nearest

    def count(queries: Any, gallery: Any, *others: Any) -> Any:
        sizes.append((len(queries), len(gallery)))
        return nearest(queries, gallery, *others)

    monkeypatch.setattr(exact, "nearest", count)
    return sizes


@pytest.mark.parametrize("block", [7, 16_384])
def test_after_any_change_the_neighbours_are_those_of_a_search_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(known, "_ROWS", block)
    random, path = np.random.default_rng(0), tmp_path / "memory.h5"
    queries, gallery = on_a_grid(30, 1), on_a_grid(60, 2)
    for step in range(40):
        searched(queries, gallery, 5, path)
        more = on_a_grid(int(random.integers(0, 3)), 10 + step)
        places = random.integers(0, len(gallery) + 1, len(more))
        gone = random.choice(len(gallery), int(random.integers(0, 3)), replace=False)
        gallery = np.insert(gallery, places, more, axis=0)
        gallery = np.delete(gallery, gone, axis=0)
        if step % 5 == 4:
            # Rows that change places, whose equal distances are then ordered in another way.
            gallery[[3, 20]] = gallery[[20, 3]]
        if step % 4 == 3:
            queries = np.concatenate([on_a_grid(2, 90 + step), queries[1:]])


def test_one_row_more_is_compared_with_all_queries_and_nothing_else_is(
    tmp_path: Path, counted: list[tuple[int, int]]
) -> None:
    path, queries, gallery = tmp_path / "memory.h5", on_a_grid(30, 1), on_a_grid(60, 2)
    searched(queries, gallery, 5, path)
    assert counted == [(30, 60)]
    counted.clear()
    searched(queries, np.insert(gallery, 17, on_a_grid(1, 3), axis=0), 5, path)
    assert counted == [(30, 1)]
    counted.clear()
    searched(queries, np.insert(gallery, 17, on_a_grid(1, 3), axis=0), 5, path)
    assert not counted, "nothing is compared if nothing has changed"


def test_a_query_that_lost_a_neighbour_is_searched_in_the_whole_gallery(
    tmp_path: Path, counted: list[tuple[int, int]]
) -> None:
    line = np.arange(20, dtype=np.float32)[:, None]
    searched(line, line, 3, tmp_path / "memory.h5")
    counted.clear()
    # 10 is among the nearest three of 9, 10 and 11.
    searched(line, np.delete(line, 10, axis=0), 3, tmp_path / "memory.h5")
    assert counted == [(3, 19)]


@pytest.mark.parametrize(("first", "then"), [((5, 60), (4, 60)), ((5, 3), (5, 4)), ((5, 4), (5, 3)), ((5, 0), (5, 6))])
def test_another_k_and_galleries_with_less_than_k_rows_are_searched_as_a_whole(
    tmp_path: Path, first: tuple[int, int], then: tuple[int, int]
) -> None:
    for k, rows in (first, then):
        searched(on_a_grid(10, 1), on_a_grid(60, 2)[:rows], k, tmp_path / "memory.h5")


def test_neighbours_that_other_code_made_or_that_are_not_possible_are_not_used(tmp_path: Path) -> None:
    path, queries, gallery = tmp_path / "memory.h5", on_a_grid(10, 1), on_a_grid(60, 2)
    searched(queries, gallery, 5, path)
    arrays = memory.recall(path, "code", known.FORM)
    assert arrays is not None
    for wrong in (
        {"distances": arrays["distances"] + 1, "made_by": "other"},
        {"places": arrays["places"] + 60},
        {"places": arrays["places"] - 60},
        {"places": arrays["places"][:, :4]},
        {"queries": arrays["queries"][1:]},
    ):
        memory.write(path, str(wrong.pop("made_by", "code")), arrays | wrong)
        searched(queries, gallery, 5, path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(arrays["distances"].tobytes()[:64], bytes(64)))
    assert path.read_bytes() != whole
    searched(queries, gallery, 5, path)
