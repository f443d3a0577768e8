"""Metrics against independent implementations on thousands of random rankings.

trec_eval (through pytrec_eval) and scikit-learn run here. The values of ranx and pytorch-metric-learning for the same
rankings are in golden/metrics.csv, because these packages are too large to install for it. NMRR and NMRR at k have no
trusted public implementation; they are compared with a slow loop in exact fractions after the published definition.

The rankings have ties in distance, categories of one image or none, galleries of one image, and k beyond the gallery.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support
from sklearn.neighbors import KNeighborsClassifier

from cbir.evaluation.classification import confusion, precision_recall_f1
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import Relevance, Values, mean_defined
from cbir.retrieval import exact
from cbir.retrieval.voting import majority_vote
from rankings import GALLERIES, QUERIES, Case, random_case

average_precision = REGISTRY["map"].per_query
average_precision_at_r = REGISTRY["map-at-r"].per_query
nmrr = REGISTRY["anmrr"].per_query
nmrr_at_k = REGISTRY["nmrr-at-k"].per_query
precision_at_k = REGISTRY["precision-at-k"].per_query
r_precision = REGISTRY["r-precision"].per_query
recall_at_k = REGISTRY["recall-at-k"].per_query

CUTOFFS = (1, 3, 5, 10, 45)


@pytest.fixture(scope="module", params=[False, True], ids=["without ties", "with ties"])
def cases(request: pytest.FixtureRequest) -> list[Case]:
    return [random_case(seed, request.param) for seed in range(GALLERIES)]


def test_the_random_rankings_have_ties_and_extreme_cases(cases: list[Case]) -> None:
    relevant = np.concatenate([case.relevant.sum(axis=1) for case in cases])
    assert len(relevant) == 4000
    assert {0, 1, 2, 10} <= set(relevant.tolist())
    assert {case.relevant.shape[1] for case in cases} >= {1, 2, 40}


def trec_eval(cases: list[Case]) -> dict[str, Values]:
    """Return each measure for all queries of all cases, in order."""
    run, judged = {}, {}
    for number, case in enumerate(cases):
        for query in range(QUERIES):
            key = f"{number}-{query}"
            # trec_eval puts equal scores in falling order of document names, so the first image gets the last name.
            names = [f"{99 - image:02d}" for image in range(case.relevant.shape[1])]
            run[key] = dict(zip(names, (-case.distances[query]).astype(float).tolist(), strict=True))
            judged[key] = dict(zip(names, case.relevant[query].astype(int).tolist(), strict=True))
    cutoffs = ",".join(map(str, CUTOFFS))
    results = pytrec_eval.RelevanceEvaluator(judged, {"map", "Rprec", f"P.{cutoffs}", f"recall.{cutoffs}"}).evaluate(
        run
    )
    names = ["map", "Rprec", *(f"{measure}_{k}" for measure in ("P", "recall") for k in CUTOFFS)]
    return {name: np.array([results[key][name] for key in run]) for name in names}


def test_agrees_with_trec_eval(cases: list[Case]) -> None:
    expected = trec_eval(cases)
    defined = np.concatenate([case.relevant.any(axis=1) for case in cases])
    ours = {
        "map": [average_precision(case.relevance) for case in cases],
        "Rprec": [r_precision(case.relevance) for case in cases],
    }
    for k in CUTOFFS:
        ours[f"P_{k}"] = [precision_at_k(case.relevance, k) for case in cases]
        ours[f"recall_{k}"] = [recall_at_k(case.relevance, k) for case in cases]
    assert ours.keys() == expected.keys()
    for name, values in ours.items():
        together = np.concatenate(values)
        np.testing.assert_allclose(together[defined], expected[name][defined], rtol=0, atol=1e-12, err_msg=name)
        # Where nothing is relevant, all measures of trec_eval are 0; here only the precision is defined.
        undefined = together[~defined]
        assert (undefined == 0).all() if name.startswith("P_") else np.isnan(undefined).all(), name


def test_average_precision_agrees_with_scikit_learn_without_ties() -> None:
    # scikit-learn treats a tie as one threshold, another convention, so only rankings without ties are compared.
    for seed in range(100):
        case = random_case(seed, ties=False)
        defined = case.relevant.any(axis=1)
        expected = [
            average_precision_score(relevant, -distances)
            for relevant, distances in zip(case.relevant[defined], case.distances[defined], strict=True)
        ]
        np.testing.assert_allclose(average_precision(case.relevance)[defined], expected, rtol=0, atol=1e-12)


GOLDEN = pd.read_csv(Path(__file__).parent / "golden" / "metrics.csv")


def golden(name: str, cases: list[Case]) -> NDArray[np.float64]:
    """Return a column of golden/metrics.csv for these cases; those without ties come first."""
    start = 0 if cases[0].distances[0].tolist() == random_case(0, False).distances[0].tolist() else GALLERIES
    return GOLDEN[name].to_numpy()[start : start + GALLERIES]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("map", average_precision),
        ("r-precision", r_precision),
        ("precision@3", lambda relevance: precision_at_k(relevance, 3)),
        ("precision@45", lambda relevance: precision_at_k(relevance, 45)),
        ("recall@3", lambda relevance: recall_at_k(relevance, 3)),
        ("recall@45", lambda relevance: recall_at_k(relevance, 45)),
    ],
)
def test_agrees_with_ranx(name: str, ours: Callable[[Relevance], Values], cases: list[Case]) -> None:
    # In ranx a query without relevant images counts as 0.
    means = [np.nan_to_num(ours(case.relevance)).mean() for case in cases]
    np.testing.assert_allclose(means, golden(f"ranx {name}", cases), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("r_precision", r_precision),
        ("mean_average_precision_at_r", average_precision_at_r),
    ],
)
def test_agrees_with_pytorch_metric_learning(name: str, ours: Callable[[Relevance], Values], cases: list[Case]) -> None:
    means = [mean_defined(ours(case.relevance)) for case in cases]
    np.testing.assert_allclose(means, golden(f"pml {name}", cases), rtol=1e-6, atol=1e-9)


def test_precision_at_1_agrees_with_pytorch_metric_learning_where_something_is_relevant(cases: list[Case]) -> None:
    # It excludes queries without relevant images from precision, too; here they count as 0, as in trec_eval and ranx.
    means = []
    for case in cases:
        values = np.where(case.relevant.any(axis=1), precision_at_k(case.relevance, 1), np.nan)
        means.append(mean_defined(values))
    np.testing.assert_allclose(means, golden("pml precision_at_1", cases), rtol=1e-6, atol=1e-9)


def test_the_vote_agrees_with_scikit_learn_where_no_vote_is_tied() -> None:
    # scikit-learn breaks a tie by the smallest label, so that only clear votes compare.
    compared = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        gallery, queries = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
        labels = rng.integers(0, 4, 30)
        for k in (1, 3, 5):
            _, rows = exact.nearest(queries, gallery, k)
            counts = np.sort((labels[rows][:, :, None] == np.arange(4)).sum(axis=1), axis=1)
            clear = counts[:, -1] > counts[:, -2]
            expected = KNeighborsClassifier(k, algorithm="brute").fit(gallery, labels).predict(queries)
            assert (majority_vote(labels[rows])[clear] == expected[clear]).all()
            compared += int(clear.sum())
    assert compared > 1500


class TestPublishedExamples:
    def test_trec_eval(self) -> None:
        # trec_eval's output for 12 documents of which those at ranks 2 to 10 and 12 are relevant: map 0.7904,
        # Rprec 0.9000, P_5 0.8000, P_10 0.9000, P_20 0.5000, P_30 0.3333 (Pollett, CS 267, San Jose State University,
        # lecture of 21 October 2019).
        relevance = np.array([[False] + 9 * [True] + [False, True]])
        assert average_precision(relevance).round(4).tolist() == [0.7904]
        assert r_precision(relevance).tolist() == [0.9]
        printed = {5: 0.8, 10: 0.9, 15: 0.6667, 20: 0.5, 30: 0.3333}
        assert {k: round(float(precision_at_k(relevance, k)[0]), 4) for k in printed} == printed


def ranks_of_relevant(row: list[bool]) -> list[int]:
    return [rank for rank, is_relevant in enumerate(row, start=1) if is_relevant]


def slow_average_precision_at_r(row: list[bool]) -> Fraction | None:
    r = sum(row)
    if r == 0:
        return None
    total = Fraction(0)
    for i in range(1, r + 1):
        if row[i - 1]:
            total += Fraction(sum(row[:i]), i)
    return total / r


def slow_nmrr(row: list[bool], gtm: int) -> Fraction | None:
    ng = sum(row)
    if ng == 0:
        return None
    k = min(4 * ng, 2 * gtm)
    average_rank = Fraction(0)
    for rank in ranks_of_relevant(row):
        average_rank += (Fraction(rank) if rank <= k else Fraction(5, 4) * k) / ng
    modified = average_rank - Fraction(1, 2) - Fraction(ng, 2)
    return modified / (Fraction(5, 4) * k - Fraction(1, 2) * (1 + ng))


def slow_nmrr_at_k(row: list[bool], k: int) -> Fraction:
    costs = [Fraction(rank) for rank in ranks_of_relevant(row) if rank <= k]
    while len(costs) < k:
        costs.append(Fraction(5, 4) * k)
    return (sum(costs, Fraction(0)) / k - Fraction(1 + k, 2)) / (Fraction(5, 4) * k - Fraction(1 + k, 2))


def as_floats(values: list[Fraction | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def test_map_at_r_agrees_with_the_definition(cases: list[Case]) -> None:
    for case in cases:
        expected = as_floats([slow_average_precision_at_r(row) for row in case.relevance.tolist()])
        np.testing.assert_allclose(average_precision_at_r(case.relevance), expected, rtol=0, atol=1e-12)


def test_nmrr_agrees_with_the_definition(cases: list[Case]) -> None:
    for case in cases:
        gtm = int(case.relevant.sum(axis=1).max())
        # The GTM of this query set, and that of a larger one of which this is a block.
        for wider in (gtm, gtm + 3):
            values = nmrr(case.relevance, wider)
            expected = as_floats([slow_nmrr(row, wider) for row in case.relevance.tolist()])
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
            assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()


@pytest.mark.parametrize("k", CUTOFFS)
def test_nmrr_at_k_agrees_with_the_definition(cases: list[Case], k: int) -> None:
    for case in cases:
        values = nmrr_at_k(case.relevance, k)
        expected = as_floats([slow_nmrr_at_k(row, k) for row in case.relevance.tolist()])
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
        assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("seed", range(20))
def test_classification_agrees_with_scikit_learn_to_the_last_digit(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Some categories have no image, and some are never predicted.
    categories = int(random.integers(1, 30))
    truth, predicted = random.integers(0, categories, (2, int(random.integers(1, 100))))
    labels = np.arange(categories)
    counts = confusion(truth, predicted, categories)
    np.testing.assert_array_equal(counts, confusion_matrix(truth, predicted, labels=labels), strict=True)
    *expected, _ = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    for values, wanted in zip(precision_recall_f1(counts), expected, strict=True):
        np.testing.assert_array_equal(values, wanted, strict=True)
