import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

import extension
from cbir.feedback.ranking import Near
from cbir.feedback.strategies import REGISTRY, Weights

linear, mixed, nearest, rocchio = (REGISTRY[name].rank for name in ("linear", "mixed", "nearest", "rocchio"))
NONE = np.empty(0, dtype=np.intp)


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.intp)


def gallery(*vectors: Any) -> np.ndarray:
    return np.array(vectors, dtype=np.float32)


def test_plain_ranks_by_euclidean_distance_and_ties_by_row() -> None:
    # Distances to the origin: 5, 1, 5, 0.
    ranking = Near(gallery([3, 4], [1, 0], [5, 0], [0, 0]), np.zeros(2))
    assert ranking.order.tolist() == [3, 1, 0, 2]
    assert ranking.scores.tolist() == [-5, -1, -5, 0]


def test_many_ties_stay_in_row_order() -> None:
    # Rows 0, 3, 6, ... are at distance 0, the others at 1; sorts that are not stable mix long runs.
    features = (np.arange(999) % 3 > 0).astype(np.float32)[:, None]
    expected = [row for row in range(999) if row % 3 == 0] + [row for row in range(999) if row % 3]
    assert Near(features, np.zeros(1)).order.tolist() == expected


def test_rocchio_takes_means_not_sums() -> None:
    # 1 (2, 0) + 0.75 mean((4, 0), (0, 4)) - 0.5 mean((1, 1), (3, 5))
    #   = (2, 0) + 0.75 (2, 2) - 0.5 (2, 3) = (2.5, 0); with sums: (2, 0) + (3, 3) - (2, 3) = (3, 0).
    features = gallery([4, 0], [0, 4], [1, 1], [3, 5])
    ranking = rocchio(features, np.array([2.0, 0.0]), rows(0, 1), rows(2, 3), Weights(1, 0.75, 0.5))
    assert ranking.vector.tolist() == [2.5, 0.0]
    # Distances to (2.5, 0): 1.5, sqrt(6.25 + 16), sqrt(2.25 + 1), sqrt(0.25 + 25).
    np.testing.assert_allclose(ranking.scores, [-1.5, -np.sqrt(22.25), -np.sqrt(3.25), -np.sqrt(25.25)])
    assert ranking.order.tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("relevant", "irrelevant", "expected"),
    [
        # alpha 2, beta 3, gamma 5; q = (1, 10), relevant (100, 0), irrelevant (0, 1000).
        (rows(0), rows(1), [2 + 300, 20 - 5000]),
        (rows(0), NONE, [2 + 300, 20]),
        (NONE, rows(1), [2, 20 - 5000]),
        (NONE, NONE, [2, 20]),
    ],
)
def test_rocchio_uses_each_weight_and_an_empty_set_adds_nothing(
    relevant: np.ndarray, irrelevant: np.ndarray, expected: list[float]
) -> None:
    features = gallery([100, 0], [0, 1000])
    ranking = rocchio(features, np.array([1.0, 10.0]), relevant, irrelevant, Weights(2, 3, 5))
    assert ranking.vector.tolist() == expected


def test_rocchio_averages_in_float64() -> None:
    # In float32, 2^24 + 1 is 2^24 and the mean would be 2^23.
    features = gallery([2**24], [1])
    ranking = rocchio(features, np.zeros(1), rows(0, 1), NONE, Weights(1, 1, 1))
    assert ranking.vector.tolist() == [(2**24 + 1) / 2]


def test_nearest_scores_the_share_of_the_irrelevant_distance() -> None:
    # Query 0, relevant 10, irrelevant 4. Row by row: x, D_rel = min(|x|, |x - 10|), D_irr = |x - 4|, score:
    #   10: 0, 6 -> 1;   4: 4, 0 -> 0;   1: 1, 3 -> 3/4;   7: 3, 3 -> 1/2;   -2: 2, 6 -> 3/4 (a tie, so by row)
    features = gallery([10], [4], [1], [7], [-2])
    ranking = nearest(features, np.zeros(1), rows(0), rows(1), Weights(1, 0.75, 0.15))
    assert ranking.scores.tolist() == [1.0, 0.0, 0.75, 0.5, 0.75]
    assert ranking.order.tolist() == [0, 2, 4, 3, 1]
    assert ranking.vector.tolist() == [0.0]


def test_nearest_uses_the_nearest_irrelevant_image_not_the_mean() -> None:
    # Query 0, irrelevant 4 and -8; 5: D_rel 5, D_irr 1 -> 1/6.
    ranking = nearest(gallery([4], [-8], [5]), np.zeros(1), NONE, rows(0, 1), Weights(1, 0.75, 0.15))
    np.testing.assert_allclose(ranking.scores, [0, 0, 1 / 6])


def test_nearest_without_irrelevant_images_ranks_by_the_nearest_relevant_or_query() -> None:
    # Query 0, relevant 10: distances 1, 2, 3, 0.
    ranking = nearest(gallery([9], [2], [-3], [10]), np.zeros(1), rows(3), NONE, Weights(1, 0.75, 0.15))
    assert ranking.scores.tolist() == [-1, -2, -3, 0]
    assert ranking.order.tolist() == [3, 0, 1, 2]


def test_nearest_scores_an_image_identical_to_relevant_and_irrelevant_ones_one_half() -> None:
    assert nearest(gallery([0], [0]), np.zeros(1), NONE, rows(1), Weights(1, 0.75, 0.15)).scores.tolist() == [0.5, 0.5]


def test_linear_ranks_by_the_signed_distance_to_the_hyperplane() -> None:
    # Query (0, 0) and relevant (0, 2) against irrelevant (4, 0) and (4, 2): centre (2, 1), root mean square distance
    # sqrt(5). The largest margin is between x = 0 and x = 4, so the hyperplane is x = 2, and the images' signed
    # distances are 2 - x, in units of sqrt(5). Each of the four may weigh C = 1; the margin needs |w| = 2 sqrt(5) / 4
    # and 0.625 in all on each side, so C does not bind.
    features = gallery([0, 2], [4, 0], [4, 2], [2, 9], [-1, 0], [3, 3])
    ranking = linear(features, np.zeros(2), rows(0), rows(1, 2), Weights(1, 0.75, 0.15))
    expected = np.array([2, -2, -2, 0, 3, -1]) / np.sqrt(5)
    np.testing.assert_allclose(ranking.scores, expected, atol=2e-3)
    assert ranking.order.tolist()[:2] == [4, 0]
    assert ranking.vector.tolist() == [0.0, 0.0]


def test_linear_has_scikit_learns_decision_function() -> None:
    random = np.random.default_rng(0)
    features, query = random.normal(size=(60, 8)).astype(np.float32), random.normal(size=8)
    relevant, irrelevant = np.arange(5), np.arange(5, 12)
    examples = np.vstack([query, features[:12]])
    centre = examples.mean(axis=0)
    spread = np.sqrt(((examples - centre) ** 2).sum(axis=1).mean())
    machine = SVC(kernel="linear", C=1.0, class_weight="balanced").fit((examples - centre) / spread, [1] * 6 + [0] * 7)
    expected = machine.decision_function((features - centre) / spread) / np.linalg.norm(machine.coef_)
    ranking = linear(features, query, relevant, irrelevant, Weights(1, 0.75, 0.15))
    np.testing.assert_allclose(ranking.scores, expected, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_order_of_linear_does_not_depend_on_the_scale_of_features(scale: float) -> None:
    random = np.random.default_rng(1)
    features, query = random.normal(size=(60, 8)), random.normal(size=8)
    orders = [
        linear(factor * features, factor * query, np.arange(5), np.arange(5, 12), Weights(1, 0.75, 0.15)).order.tolist()
        for factor in (1.0, scale)
    ]
    assert orders[0] == orders[1]


def test_linear_without_irrelevant_images_is_rocchio() -> None:
    features, query, weights = gallery([1, 0], [0, 3], [5, 5]), np.ones(2), Weights(1, 2, 3)
    ranking, expected = (rank(features, query, rows(1), NONE, weights) for rank in (linear, rocchio))
    assert ranking.order.tolist() == expected.order.tolist()
    assert ranking.vector.tolist() == expected.vector.tolist() == [1, 7]


@pytest.mark.parametrize(("judged_irrelevant", "share"), [(1, 1 / 6), (3, 3 / 8), (20, 4 / 9)])
def test_mixed_weighs_the_classifier_by_the_examples_of_its_smaller_class(judged_irrelevant: int, share: float) -> None:
    random = np.random.default_rng(2)
    features, query, weights = random.normal(size=(50, 6)), random.normal(size=6), Weights(1, 0.75, 0.15)
    # Four relevant examples including the query; the classifier has half the weight at five examples.
    arguments = features, query, rows(0, 1, 2), np.arange(3, 3 + judged_irrelevant), weights
    near, plane = (rank(*arguments).scores for rank in (rocchio, linear))
    near, plane = ((scores - scores.mean()) / scores.std() for scores in (near, plane))
    np.testing.assert_allclose(mixed(*arguments).scores, (1 - share) * near + share * plane, atol=1e-10)


def test_mixed_without_irrelevant_images_is_rocchio() -> None:
    features, query, weights = gallery([1, 0], [0, 3], [5, 5]), np.ones(2), Weights(1, 2, 3)
    ranking, expected = (rank(features, query, rows(1), NONE, weights) for rank in (mixed, rocchio))
    assert ranking.scores.tolist() == expected.scores.tolist()


@pytest.mark.parametrize("name", REGISTRY)
def test_every_strategy_ranks_a_collapsed_gallery_by_row(name: str) -> None:
    features = np.ones((6, 4), dtype=np.float32)
    ranking = REGISTRY[name].rank(features, np.ones(4), rows(0, 2), rows(1), Weights(1, 0.75, 0.15))
    assert ranking.order.tolist() == list(range(6))
    assert np.isfinite(ranking.scores).all()


@pytest.mark.parametrize("name", REGISTRY)
def test_every_strategy_ranks_the_relevant_cluster_first(name: str) -> None:
    # Two clouds around (5, 0) and (0, 5), the query between them: one judgement of each must settle the order.
    random = np.random.default_rng(3)
    features = np.vstack([random.normal([5, 0], 0.5, (20, 2)), random.normal([0, 5], 0.5, (20, 2))]).astype(np.float32)
    ranking = REGISTRY[name].rank(features, np.array([2.5, 2.5]), rows(30), rows(3), Weights(1, 0.75, 0.15))
    assert set(ranking.order[:20].tolist()) == set(range(20, 40))


@pytest.mark.parametrize("name", REGISTRY)
def test_no_strategy_changes_its_arguments(name: str) -> None:
    features, query = np.random.default_rng(4).normal(size=(9, 3)).astype(np.float32), np.ones(3)
    copies = features.copy(), query.copy()
    REGISTRY[name].rank(features, query, rows(0, 1), rows(2), Weights(2, 3, 4))
    np.testing.assert_array_equal(features, copies[0])
    np.testing.assert_array_equal(query, copies[1])


@pytest.mark.parametrize("name", REGISTRY)
def test_scores_do_not_depend_on_the_number_of_threads(name: str) -> None:
    gallery = np.random.default_rng(0).gamma(1.0, size=(300, 1280)).astype(np.float32)
    query = gallery[0].astype(np.float64) + 0.5
    digits = set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            ranking = REGISTRY[name].rank(gallery, query, np.arange(1, 30), np.arange(30, 60), Weights(1, 0.75, 0.15))
        digits.add(ranking.scores.tobytes() + ranking.vector.tobytes())
    assert len(digits) == 1


USES_IT = """
import json
import numpy as np
from cbir.feedback.refinement import parse
from cbir.feedback.rounds import Gallery, Search, refine
from cbir.feedback.simulation import measure
from cbir.feedback.strategies import Weights
from cbir.web import state

# Mean of the query (0, 0) and (4, 4): (2, 2). City-block distances 4, 4, 1, 3; Euclidean ones 2.83, 4, 1, 2.12.
features = np.array([[4, 4], [2, 6], [3, 2], [3.5, 0.5]], np.float32)
gallery = Gallery(features, ["a/0", "b/1", "a/2", "b/3"], np.array(["a", "b", "a", "b"]))
arguments = {"query": "a/q", "method": "m", "k": 4, "strategy": "city-block", "rounds": [{"relevant": ["a/0"]}]}
refinement = parse(json.dumps(arguments).encode(), "mine.json", ["m"], Weights(1, 0.75, 0.15))
print(refine(gallery, refinement, np.zeros(2), None, None)[1].as_json()["results"][-1]["score"])
weights = Weights(1, 0.75, 0.15)
searches = [Search(gallery, np.full(2, place), 2, "city-block", weights, category="a") for place in (0.0, 3.0)]
print(measure(searches, 2, 2).mean()["precision_at_k"].tolist())
address = {"method": "m", "query": "a/q", "strategy": "city-block"}
print(state.parse(address, ["m"]).strategy)
"""


def test_a_new_strategy_is_one_file(tmp_path: Path) -> None:
    extension.add(tmp_path, "feedback/strategies", "city-block", extension.STRATEGY)
    score, precision, strategy = extension.python(tmp_path, USES_IT).split("\n")[:3]
    assert float(score) == -4
    assert len(json.loads(precision)) == 3
    assert strategy == "city-block"


def test_every_strategy_has_a_label_and_an_explanation() -> None:
    for name, strategy in REGISTRY.items():
        assert strategy.LABEL, name
        assert not strategy.EXPLANATION.endswith("."), name
