"""An evaluation that uses the ranks of an earlier one has the results of an evaluation from scratch."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cbir.evaluation import ranks
from cbir.evaluation.evaluate import Evaluation, evaluate
from cbir.evaluation.ranks import FORM, Memory
from cbir.features import store as stores
from cbir.features.store import FeatureStore
from cbir.files import memory as files
from cbir.retrieval import exact

SINGLE = ("bird", "fish", "tool")
SEVERAL = ("bird", "bird / water", "fish / water", "tool")


class Collection:
    """Images on a grid, many of which are at equal distances, that are added, removed and moved."""

    def __init__(self, categories: tuple[str, ...], images: int, seed: int = 0) -> None:
        self.categories, self.random = categories, np.random.default_rng(seed)
        self.table = pd.DataFrame(columns=["image_id", "category", "vector"])
        self.number = 0
        self.add(images)

    def add(self, images: int) -> None:
        rows = [
            [f"{self.random.integers(0, 10**6):06d}-{self.number + i}", str(self.random.choice(self.categories))]
            for i in range(images)
        ]
        self.number += images
        more = pd.DataFrame(rows, columns=["image_id", "category"])
        more["vector"] = list(self.random.integers(0, 4, (images, 4)).astype(np.float32))
        self.table = pd.concat([self.table, more]).sort_values("image_id", ignore_index=True)

    def remove(self, images: int) -> None:
        gone = self.random.choice(len(self.table), images, replace=False)
        self.table = self.table.drop(index=gone).reset_index(drop=True)

    def move(self) -> None:
        """Give an image another category."""
        self.table.loc[self.random.integers(len(self.table)), "category"] = str(self.random.choice(self.categories))

    def store(self, names: list[str], path: Path | None = None) -> FeatureStore:
        labels = [names.index(category) for category in self.table["category"]]
        vectors = np.stack(list(self.table["vector"]))
        table = self.table.assign(label=labels, sha256=[f"{name:0>64}" for name in self.table["image_id"]])
        if path is None:
            ids = self.table["image_id"].to_numpy(object)
            return FeatureStore(vectors, ids, np.array(labels), ids, {"method": "m"})
        stores.write(path, table, [vectors], vectors.shape[1], {"method": "m"})
        return stores.read(path)


def found(gallery: FeatureStore, queries: FeatureStore, names: list[str], memory: Memory | None) -> Evaluation:
    return evaluate(
        gallery, queries, names, None, k=3, neighbours=5, worst_images=5, worst_retrieved=3, seed=0, memory=memory
    )


def assert_equal(one: Evaluation, other: Evaluation) -> None:
    for field in fields(Evaluation):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        else:
            assert a == b


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of queries of each ranking of a whole gallery."""
    ranked: list[int] = []
    rankings = exact.rankings

    def count(queries: Any, *others: Any) -> Any:
        ranked.append(len(queries))
        return rankings(queries, *others)

    monkeypatch.setattr(exact, "rankings", count)
    return ranked


def memory(folder: Path) -> Memory:
    return Memory(folder / "memory.h5", "code", folder / "gallery.h5")


@pytest.mark.parametrize("categories", [SINGLE, SEVERAL])
@pytest.mark.parametrize("cells", [300, 10**6])
def test_after_any_change_the_evaluation_is_that_of_one_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int], categories: tuple[str, ...], cells: int
) -> None:
    monkeypatch.setattr(ranks, "_CELLS", cells)
    gallery, queries = Collection(categories, 80), Collection(categories, 40, seed=1)
    random, updated = np.random.default_rng(2), 0
    for step in range(30):
        # The labels change when a category appears or goes.
        names = sorted({*gallery.table["category"], *queries.table["category"]})
        searched, asked = gallery.store(names, tmp_path / "gallery.h5"), queries.store(names)
        counted.clear()
        now = found(searched, asked, names, memory(tmp_path))
        updated += counted != [len(asked.label)]
        assert_equal(now, found(searched, asked, names, None))
        change = step % 6
        gallery.add(int(change in (0, 2)))
        gallery.remove(int(change in (1, 2)))
        if change == 3:
            queries.add(2)
            queries.remove(1)
        if change == 4:
            (gallery if random.random() < 0.5 else queries).move()
        if step == 20:
            gallery.table = gallery.table[gallery.table["category"] != categories[0]].reset_index(drop=True)
            queries.table = queries.table[queries.table["category"] != categories[0]].reset_index(drop=True)
    assert updated > 20


def test_only_queries_of_the_category_that_gained_an_image_are_ranked_again(tmp_path: Path, counted: list[int]) -> None:
    gallery, queries = Collection(SINGLE, 80), Collection(SINGLE, 40, seed=1)
    names = list(SINGLE)
    found(gallery.store(names, tmp_path / "gallery.h5"), queries.store(names), names, memory(tmp_path))
    assert counted == [40]
    counted.clear()
    found(gallery.store(names, tmp_path / "gallery.h5"), queries.store(names), names, memory(tmp_path))
    assert counted == [0]
    counted.clear()
    gallery.add(1)
    new = next(name for name in gallery.table["image_id"] if name.endswith("-80"))
    category = gallery.table.set_index("image_id").loc[new, "category"]
    found(gallery.store(names, tmp_path / "gallery.h5"), queries.store(names), names, memory(tmp_path))
    assert counted == [int((queries.table["category"] == category).sum())]


def test_a_rank_changes_by_the_rows_that_are_nearer(tmp_path: Path) -> None:
    # On a line: the query at 0, its right images at 2, 5 and 9, which have the ranks 2, 3 and 5.
    table = pd.DataFrame({"image_id": list("abcde"), "label": [1, 0, 0, 1, 0], "sha256": list("abcde")})
    places = np.array([[1], [2], [5], [7], [9]], np.float32)
    query = FeatureStore(np.zeros((1, 1), np.float32), np.array(["q"], object), np.array([0]), np.array(["q"], object))

    def evaluated(table: pd.DataFrame, places: Any) -> list[int]:
        stores.write(tmp_path / "gallery.h5", table, [places], 1, {"method": "m"})
        gallery = stores.read(tmp_path / "gallery.h5")
        found(gallery, replace(query, about={"method": "m"}), ["right", "wrong"], memory(tmp_path))
        arrays = memory(tmp_path).read()
        assert arrays is not None
        return list(map(int, arrays["ranks"]))

    assert evaluated(table, places) == [2, 3, 5]
    # One that was removed at 1, and one that was added at 5 after the right image, in the order of the gallery.
    then = pd.DataFrame({"image_id": list("bcdef"), "label": [0, 0, 1, 0, 1], "sha256": list("bcdef")})
    assert evaluated(then, np.array([[2], [5], [7], [9], [5]], np.float32)) == [1, 2, 5]


@pytest.mark.parametrize("what", ["gallery", "damaged", "other gallery", "smaller gallery", "code", "ranks", "numbers"])
def test_files_that_are_damaged_or_missing_are_not_used(tmp_path: Path, counted: list[int], what: str) -> None:
    gallery, queries, names = Collection(SINGLE, 80), Collection(SINGLE, 40, seed=1), list(SINGLE)
    kept = memory(tmp_path)
    found(gallery.store(names, tmp_path / "gallery.h5"), queries.store(names), names, kept)
    gallery.remove(1)
    searched = gallery.store(names, tmp_path / "gallery.h5")
    if what == "gallery":
        kept.earlier_gallery.unlink()
    if what == "damaged":
        kept.path.write_bytes(kept.path.read_bytes()[:-50])
    if what in ("other gallery", "smaller gallery"):
        Collection(SINGLE, 80 if what == "other gallery" else 10, seed=7).store(names, kept.earlier_gallery)
    if what == "code":
        kept = replace(kept, made_by="other code")
    if what == "ranks":
        arrays = kept.read()
        assert arrays is not None
        files.write(kept.path, "code", arrays | {"ranks": arrays["ranks"] + 80})
    if what == "numbers":
        # Of the first two queries one has a right image more than it had, the other one less.
        arrays = kept.read()
        assert arrays is not None
        files.write(
            kept.path,
            "code",
            arrays | {"right": arrays["right"] + np.eye(40, dtype=int)[0] - np.eye(40)[1].astype(int)},
        )
    counted.clear()
    now = found(searched, queries.store(names), names, kept)
    assert counted == [40] or what == "numbers"
    assert_equal(now, found(searched, queries.store(names), names, None))
    assert set(kept.read() or ()) == set(FORM.arrays)


def test_many_ranks_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, queries, names = Collection(SINGLE, 80), Collection(SINGLE, 40, seed=1), list(SINGLE)
    stored = gallery.store(names, tmp_path / "gallery.h5"), queries.store(names)
    found(*stored, names, memory(tmp_path))
    assert memory(tmp_path).path.exists() and memory(tmp_path).earlier_gallery.exists()
    monkeypatch.setattr(ranks, "_MOST_RANKS", 100)
    found(*stored, names, memory(tmp_path))
    assert not memory(tmp_path).path.exists() and not memory(tmp_path).earlier_gallery.exists()
