"""Evaluation of a gallery that is too large for whole rankings, by the first results."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cbir.collection.categories import Relevant
from cbir.evaluation import cut, first
from cbir.evaluation.comparison import Evaluated, require_same_queries
from cbir.evaluation.cut import as_text, named
from cbir.evaluation.evaluate import evaluate
from cbir.evaluation.judgements import across_folds, by_category, by_list
from cbir.evaluation.measure import all_metrics
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.retrieval import exact
from cbir.retrieval.index import over
from evaluation.on_a_line import CATEGORIES, GALLERY, run, store

# The first four results. c/a finds all: 1 2 4. f/b finds 1, and not 5; f/c 1 4; t/d 1 2; t/e neither 5 nor 7. Images
# not found cost 1.25 K = 7.5: f/b (1 + 7.5) / 2 = 4.25, (4.25 - 1.5) / 6 = 11/24.
CUT_NMRR = [2 / 33, 11 / 24, 1 / 6, 0, 1]
CUT_AVERAGE_PRECISION = [11 / 12, 1 / 2, 3 / 4, 1, 0]
SMALL: dict[str, Any] = {"exact_rows": 6, "ranked": 4}


def test_only_the_first_results_count() -> None:
    found = run(**SMALL)
    assert np.allclose(found.queries["nmrr"], CUT_NMRR, rtol=1e-12)
    assert np.allclose(found.queries["average_precision"], CUT_AVERAGE_PRECISION, rtol=1e-12)
    assert found.summary["map"] == pytest.approx(np.mean(CUT_AVERAGE_PRECISION))
    # R-precision and MAP@R look at no more than NG = 3 results.
    assert found.summary["ranked"] == 4 and found.summary["cut"] == ["anmrr", "map", "map_trapezoid"]
    assert found.summary["ranked_by"] == {"kind": "exact", "effort": None, "recall": 1.0}
    # The first right image of t/e is at rank 5.
    assert found.cmc["cmc"].tolist() == [0.8] * 4


def test_other_tables_equal_those_of_whole_rankings() -> None:
    cut, whole = run(**SMALL), run()
    pd.testing.assert_frame_equal(cut.neighbours, whole.neighbours)
    pd.testing.assert_frame_equal(cut.confusion, whole.confusion)
    same = set(all_metrics()) - set(cut.summary["cut"])
    assert {key: cut.summary[key] for key in same} == {key: whole.summary[key] for key in same}
    assert len(same) == len(all_metrics()) - 3


@pytest.mark.parametrize("changes", [{"exact_rows": 7, "ranked": 4}, {"exact_rows": None, "ranked": 1}])
def test_a_gallery_of_exactly_the_limit_is_ranked_as_a_whole(changes: dict[str, Any]) -> None:
    cut, whole = run(**changes), run()
    assert cut.summary == whole.summary and "ranked" not in whole.summary
    pd.testing.assert_frame_equal(cut.queries, whole.queries)
    pd.testing.assert_frame_equal(cut.cmc, whole.cmc)


def test_first_results_that_are_all_results_give_whole_rankings() -> None:
    found, whole = run(exact_rows=1, ranked=1000), run()
    assert found.summary["ranked"] == 7 and found.summary["cut"] == ["map", "map_trapezoid"]
    pd.testing.assert_frame_equal(found.queries, whole.queries)


def test_at_least_as_many_results_are_ranked_as_vote_or_are_listed() -> None:
    assert run(exact_rows=1, ranked=1, neighbours=5).summary["ranked"] == 5


@dataclass(frozen=True)
class Missing:
    """An approximate index that misses 3 - n of the nearest images at its search parameter n."""

    features: np.ndarray
    effort: int = 1
    short_below: int = 0
    kind: str = "stub"
    label: str = "stub"

    @property
    def rows(self) -> int:
        return len(self.features)

    def efforts(self) -> list[int]:
        return [1, 2, 3]

    def with_effort(self, effort: int) -> "Missing":
        return replace(self, effort=effort)

    def share_compared_with_all(self, queries: np.ndarray, k: int) -> float:
        return 0.5 if self.effort < self.short_below else 0.01

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        missed = 3 - self.effort
        distances, rows = exact.nearest(queries, self.features, k + missed)
        return distances[:, missed:], rows[:, missed:]


@pytest.mark.parametrize(("least", "effort", "reached"), [(0.5, 1, 0.55), (0.6, 2, 0.8), (0.9, 3, 1.0)])
def test_the_lowest_search_parameter_that_reaches_the_recall(least: float, effort: int, reached: float) -> None:
    # 2, 1 and 0 of the four nearest are missed. The fifth result of t/e is as near as the fourth and counts as found.
    index = Missing(store(GALLERY, "train").features)
    found = run(**SMALL, tree=index, recall=least)
    assert found.summary["ranked_by"] == {"kind": "stub", "effort": effort, "recall": pytest.approx(reached)}
    if effort == 3:
        assert np.allclose(found.queries["average_precision"], CUT_AVERAGE_PRECISION, rtol=1e-12)
    if effort == 2:
        # c/a without its nearest: c1 f0 c2 f1 has right ones at 1 and 3 of 3.
        assert found.queries["average_precision"][0] == pytest.approx((1 + 2 / 3) / 3)


def test_a_search_parameter_that_finds_too_few_results_is_not_used() -> None:
    # Its results would be exact, because the query is then compared with all images.
    index = Missing(store(GALLERY, "train").features, short_below=2)
    assert run(**SMALL, tree=index, recall=0.5).summary["ranked_by"]["effort"] == 2


def test_a_small_gallery_is_not_searched_with_an_approximate_index() -> None:
    assert run(tree=Missing(store(GALLERY, "train").features)).summary == run().summary


def test_the_recall_of_an_index_that_misses_nothing_is_measured_too() -> None:
    with pytest.raises(InputError, match="finds other neighbours than the exact search"):
        run(**SMALL, tree=over(store(GALLERY, "train").features[::-1] + 1, leafsize=8))


def precision_by_hand(right: list[bool], relevant: int) -> Fraction:
    found, total = 0, Fraction(0)
    for rank, hit in enumerate(right, start=1):
        found += hit
        total += Fraction(found, rank) if hit else 0
    return total / relevant


def points(count: int) -> FeatureStore:
    random = np.random.default_rng(4)
    names = np.array([f"{row}" for row in range(count)], object)
    labels = random.integers(0, 3, count)
    return FeatureStore(random.normal(size=(count, 2)).astype(np.float32), names, labels, names, {"method": "m"})


@pytest.mark.parametrize(("folds", "cells"), [(2, 10), (60, 10), (3, 10**6)])
def test_junk_images_do_not_reduce_the_number_of_results(
    folds: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The search is repeated with more results until enough remain, in small and in large blocks.
    monkeypatch.setattr(first, "_CELLS", cells)
    own, ranked = points(60), 5
    of = np.arange(60) % folds
    judged = across_folds(own.label, of, Relevant(CATEGORIES))
    options = {"k": 1, "neighbours": 2, "worst_images": 1, "worst_retrieved": 2, "seed": 0}
    found = evaluate(own, own, CATEGORIES, None, judgements=judged, exact_rows=10, ranked=ranked, **options)
    for row in range(60):
        others = np.flatnonzero(of != of[row])
        near = others[np.argsort(np.square(own.features[others] - own.features[row]).sum(axis=1), kind="stable")]
        right = (own.label[near] == own.label[row]).tolist()
        expected = precision_by_hand(right[:ranked], sum(right))
        assert found.queries["average_precision"][row] == pytest.approx(float(expected))


def test_each_setup_of_judgements_has_its_own_first_results() -> None:
    own = points(40)
    listed = [("0", "1", "easy"), ("0", "2", "hard"), ("0", "3", "junk"), ("0", "4", "hard")]
    table = pd.DataFrame(listed, columns=["query", "image_id", "grade"])
    queries = own.rows(np.array([0]))
    setups = {name: by_list(table, queries.image_id, own.image_id, name) for name in ("easy", "medium", "hard")}
    options = {"k": 1, "neighbours": 2, "worst_images": 1, "worst_retrieved": 2, "seed": 0}
    found = evaluate(
        *(own, queries, CATEGORIES, None),
        **({"judgements": setups["medium"], "setups": setups, "exact_rows": 10, "ranked": 20} | options),
    )
    order = np.argsort(np.square(own.features - own.features[0]).sum(axis=1), kind="stable")
    for name, (right, out) in {"easy": ([1], [2, 3, 4]), "medium": ([1, 2, 4], [3]), "hard": ([2, 4], [1, 3])}.items():
        ranking = [row in right for row in order if row not in out][:20]
        before, total = 0, Fraction(0)
        for rank, hit in enumerate(ranking, start=1):
            if hit:
                total += (Fraction(before, rank - 1) if rank > 1 else 1) + Fraction(before + 1, rank)
                before += 1
        expected = total / 2 / len(right)
        assert found.summary["setups"][name]["map_trapezoid"] == pytest.approx(float(expected))


def test_a_figure_of_first_results_names_their_number() -> None:
    summary = {"k": 3, "cut": ["map", "map_trapezoid"], "ranked": 1000}
    metrics = all_metrics()
    names = {key: named(key, metrics[key], summary) for key in ("map", "map_trapezoid", "anmrr", "precision_at_k")}
    assert list(names.values()) == ["MAP@1000", "MAP@1000 (trapezoids)", "ANMRR", "precision at 3"]
    assert named("map", metrics["map"], {"k": 3}) == "MAP"
    assert "MAP@4" in as_text(run(**SMALL).summary) and "MAP" in as_text(run().summary)


def test_methods_ranked_to_different_depths_are_not_compared() -> None:
    def evaluated(name: str, **changes: Any) -> Evaluated:
        found = run(**changes)
        return Evaluated(name, found.summary, found.categories, found.queries)

    require_same_queries([evaluated("a", **SMALL), evaluated("b", **SMALL)])
    with pytest.raises(InputError, match="down to different ranks"):
        require_same_queries([evaluated("a"), evaluated("b", **SMALL)])


def test_the_first_results_of_an_exact_index_are_those_of_whole_rankings() -> None:
    own = points(30)
    judged = by_category(own.label, own.label, Relevant(CATEGORIES))
    [(rows, order)] = first.rankings(over(own.features, "exact"), own, [judged], 7)
    [(_, whole)] = exact.rankings(own.features, own.features)
    assert rows == slice(0, 30) and np.array_equal(order, whole[:, :7])


def test_a_metric_that_takes_no_number_of_relevant_images(monkeypatch: pytest.MonkeyPatch) -> None:
    # NG = 3 and 1, GTM = 3: images not found are after rank 6, in small blocks of queries.
    monkeypatch.setattr("cbir.evaluation.cut._CELLS", 1)
    seen = []

    class Metric:
        @staticmethod
        def per_query(relevance: np.ndarray) -> np.ndarray:
            seen.append([*np.flatnonzero(relevance[0]).tolist(), relevance.shape[1]])
            return relevance.sum(axis=1).astype(float)

    relevance = np.array([[True, False], [False, False], [False, True]])
    values = cut.per_query(Metric, relevance, np.array([3, 0, 1]), k=1, gtm=3)
    assert values.tolist() == [3, 0, 1]
    assert seen == [[0, 6, 7, 8], [6], [1, 6]]
