"""Rankings without junk or images of the own fold, against independent software: golden/revisited.py, disjoint.py."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cbir.collection.categories import Relevant
from cbir.collection.relevance import RELEVANCE_COLUMNS
from cbir.evaluation.judgements import SETUPS, Judgements, across_folds, by_category, by_list
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.retrieval import exact
from golden import disjoint, revisited

GOLDEN = Path(__file__).parents[1] / "golden"


def listed(grades: list[list[str]], size: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the table of judgements, and the names of queries and gallery."""
    queries = np.array([f"q{number}" for number in range(len(grades))], object)
    gallery = np.array([f"g{number}" for number in range(size)], object)
    rows = [
        (query, image_id, grade)
        for query, of_query in zip(queries, grades, strict=True)
        for image_id, grade in zip(gallery, of_query, strict=True)
        if grade
    ]
    return pd.DataFrame(rows, columns=RELEVANCE_COLUMNS), queries, gallery


def test_5000_rankings_with_junk_have_the_published_figures() -> None:
    expected = pd.read_csv(GOLDEN / "revisited.csv", dtype=str, keep_default_na=False)
    columns: dict[str, list[np.ndarray]] = {name: [] for name in expected}
    for seed in range(revisited.GALLERIES):
        orders, grades = revisited.case(seed)
        order = np.array(orders)
        table, queries, gallery = listed(grades, order.shape[1])
        values = {name: np.empty(len(order)) for name in columns}
        for number, setup in enumerate(revisited.SETUPS):
            judged = by_list(table, queries, gallery, setup)
            # Two blocks, because a whole evaluation has several.
            for rows in (slice(0, 20), slice(20, len(order))):
                _, relevance = judged.judge(rows, order[rows])
                assert relevance.sum(axis=1).tolist() == judged.relevant[rows].tolist()
                own = np.flatnonzero(np.arange(rows.start, rows.stop) % 3 == number)
                places = own + rows.start
                values["average_precision"][places] = REGISTRY["map-trapezoid"].per_query(relevance)[own]
                for k in revisited.KAPPAS:
                    values[f"precision_at_{k}"][places] = REGISTRY["mp-at-k"].per_query(relevance, k=k)[own]
        for name in columns:
            columns[name].append(values[name])
    assert len(expected) == 5000
    for name, found in columns.items():
        wanted = [float(Fraction(text)) if text else np.nan for text in expected[name]]
        np.testing.assert_allclose(np.concatenate(found), wanted, rtol=0, atol=1e-12, err_msg=name)


def test_200_collections_of_unseen_classes_have_the_figures_of_pytorch_metric_learning() -> None:
    expected = pd.read_csv(GOLDEN / "disjoint.csv")
    found = []
    for seed in range(disjoint.COLLECTIONS):
        vectors, labels = disjoint.collection(seed)
        judged = across_folds(labels, np.arange(len(labels)), Relevant.one_each(labels))
        relevance = np.concatenate([judged.judge(rows, order)[1] for rows, order in exact.rankings(vectors, vectors)])
        hits, precision = REGISTRY["hit-at-k"].per_query(relevance, k=1), REGISTRY["map-at-r"].per_query(relevance)
        found.append([mean_defined(hits), mean_defined(precision)])
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=0, atol=1e-12)


def brute(labels: np.ndarray, folds: np.ndarray, order: list[int], query: int) -> list[int]:
    """Return the ranking of one query, without the images of its fold."""
    return [image for image in order if folds[image] != folds[query]]


@pytest.mark.parametrize("seed", range(20))
def test_images_of_the_own_fold_are_in_no_ranking(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 30))
    labels, folds = rng.integers(0, 4, size), rng.integers(1, 6, size)
    order = np.stack([rng.permutation(size) for _ in range(size)])
    judged = across_folds(labels, folds, Relevant.one_each(labels))
    ranked, relevance = judged.judge(slice(0, size), order)
    for query in range(size):
        kept = brute(labels, folds, order[query].tolist(), query)
        assert ranked[query, : len(kept)].tolist() == kept
        assert relevance[query].tolist() == [labels[image] == labels[query] for image in kept] + [False] * (
            size - len(kept)
        )
        assert judged.ranked[query] == len(kept)
        assert judged.relevant[query] == sum(labels[image] == labels[query] for image in kept)


def test_relevance_by_category_excludes_no_image() -> None:
    judged: Judgements = by_category(np.array([0, 1, 0]), np.array([0, 2]), Relevant(["a", "b", "c"]))
    order = np.array([[2, 1, 0], [1, 0, 2]])
    ranked, relevance = judged.judge(slice(0, 2), order)
    assert ranked is order
    assert relevance.tolist() == [[True, False, True], [False, False, False]]
    assert judged.relevant.tolist() == [2, 0]
    assert judged.ranked.tolist() == [3, 3]


def test_each_setup_excludes_images_that_are_relevant_in_others() -> None:
    table, queries, gallery = listed([["easy", "hard", "junk", "", "relevant"]], 5)
    order = np.array([[0, 1, 2, 3, 4]])
    found = {name: by_list(table, queries, gallery, name).judge(slice(0, 1), order) for name in SETUPS}
    assert {name: ranked[0].tolist() for name, (ranked, _) in found.items()} == {
        "easy": [0, 3, 4, 1, 2],
        "medium": [0, 1, 3, 4, 2],
        "hard": [1, 3, 4, 0, 2],
    }
    assert {name: np.flatnonzero(relevance[0]).tolist() for name, (_, relevance) in found.items()} == {
        "easy": [0, 2],
        "medium": [0, 1, 3],
        "hard": [0, 2],
    }


def test_categories_that_are_shared_within_a_fold() -> None:
    # a, a and b, b, c; the first two are one fold.
    labels, folds = np.array([0, 1, 2, 3]), np.array([7, 7, 8, 9])
    judged = across_folds(labels, folds, Relevant(["a", "a / b", "b", "c"]))
    assert judged.relevant.tolist() == [0, 1, 1, 0]
    assert judged.ranked.tolist() == [2, 2, 3, 3]
    order = np.tile(np.arange(4), (4, 1))
    assert judged.right(slice(0, 4), order).astype(int).tolist() == [
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1],
    ]
