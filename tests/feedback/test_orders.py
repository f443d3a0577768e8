"""Orders by bounds equal those by exact scores, also if many scores are equal or nearly equal."""

from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cbir.feedback.orders import orders
from cbir.feedback.ranking import Near, Ranking, Rows
from cbir.feedback.strategies import REGISTRY, Weights
from cbir.retrieval import exact

ROWS, WIDTH = 230, 40


def network(random: np.random.Generator) -> np.ndarray:
    return random.gamma(0.5, size=(ROWS, WIDTH)).astype(np.float32)


def copies(random: np.random.Generator) -> np.ndarray:
    # Each image about four times, some copies with a difference in the last bit of one value.
    features = network(random)[random.integers(0, ROWS // 4, ROWS)]
    features[::3, 0] = np.nextafter(features[::3, 0], np.float32(9))
    return features


def whole_numbers(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 3, (ROWS, WIDTH)).astype(np.float32)


def far_away(random: np.random.Generator) -> np.ndarray:
    return (100_000 + random.normal(size=(ROWS, WIDTH))).astype(np.float32)


def too_large(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(ROWS, WIDTH)) * 10.0 ** random.integers(100, 154, (ROWS, 1))


def collapsed(random: np.random.Generator) -> np.ndarray:
    return np.ones((ROWS, WIDTH), np.float32)


GALLERIES = [network, copies, whole_numbers, far_away, collapsed]


def rankings(features: np.ndarray, random: np.random.Generator, name: str) -> list[Ranking]:
    """Return rankings of nine queries, some of which are images of the gallery; one has no irrelevant image."""
    found = []
    for number in range(9):
        judged = random.permutation(ROWS)[: random.integers(1, 30)]
        cut = len(judged) if number == 0 else random.integers(0, len(judged))
        query = features[random.integers(ROWS)].astype(np.float64) + (0.3 if number % 2 else 0)
        found.append(
            REGISTRY[name].rank(features, query, np.sort(judged[:cut]), np.sort(judged[cut:]), Weights(1, 0.75, 0.15))
        )
    return found


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("gallery", GALLERIES)
def test_orders_equal_those_of_the_single_rankings(gallery, name: str, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(5)
    features = gallery(random)
    all_rankings = [*rankings(features, random, name), Near(features, features[3].astype(np.float64))]
    expected = [ranking.order.tolist() for ranking in all_rankings]
    assert [order.tolist() for order in orders(all_rankings)] == expected
    # A few queries at a time, and one block of gallery rows after another.
    monkeypatch.setattr(REGISTRY["nearest"], "_BYTES", 8 * ROWS * 70)
    monkeypatch.setattr(exact, "_PROJECTED_ROWS", 64)
    with threadpool_limits(1):
        assert [order.tolist() for order in orders(all_rankings)] == expected


@pytest.mark.parametrize("name", ["rocchio", "nearest"])
def test_orders_of_numbers_too_large_to_square(name: str) -> None:
    random = np.random.default_rng(6)
    features = too_large(random)
    with np.errstate(over="ignore", invalid="ignore"):
        all_rankings = rankings(features, random, name)
        assert [order.tolist() for order in orders(all_rankings)] == [
            ranking.order.tolist() for ranking in all_rankings
        ]


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("gallery", GALLERIES)
def test_scores_lie_within_their_bounds(gallery, name: str) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(7)
    for ranking in rankings(gallery(random), random, name):
        low, high = ranking.bounds([ranking], 1)
        # Bounds of a plain distance are those of its square.
        scores = -(ranking.scores**2) if type(ranking) is Near else ranking.scores
        assert (low[0] <= scores).all()
        assert (scores <= high[0]).all()


@dataclass(frozen=True, eq=False)
class FarFromTheMiddle(Near):
    """A ranking as a user might add it: with its own scores and without bounds."""

    def score(self, rows: Rows | slice) -> np.ndarray:
        middle = self.features.mean(axis=0, dtype=np.float64)
        return exact.nearest(self.features[rows], np.stack([middle, self.vector]), 1)[0][:, 0]


@pytest.mark.parametrize("gallery", GALLERIES)
def test_a_ranking_needs_no_bounds(gallery) -> None:  # type: ignore[no-untyped-def]
    features = gallery(np.random.default_rng(4))
    all_rankings: list[Ranking] = [
        kind(features, features[row].astype(np.float64)) for row in (3, 9) for kind in (FarFromTheMiddle, Near)
    ]
    with threadpool_limits(2):
        expected = [ranking.order.tolist() for ranking in all_rankings]
        assert [order.tolist() for order in orders(all_rankings)] == expected


@pytest.mark.parametrize("name", REGISTRY)
def test_exact_scores_are_computed_for_few_images(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    all_rankings = rankings(network(random), random, name)
    scored = []
    for kind in {type(ranking) for ranking in all_rankings}:
        score = kind.score
        monkeypatch.setattr(
            kind, "score", lambda self, rows, score=score: scored.append(len(rows)) or score(self, rows)
        )
    orders(all_rankings)
    # Judged images, which are at distance 0, are among them.
    assert sum(scored) < sum(30 for _ in all_rankings)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_score_does_not_depend_on_other_rows(name: str) -> None:
    random = np.random.default_rng(9)
    features = random.gamma(0.5, size=(200, 1280)).astype(np.float32)
    ranking = REGISTRY[name].rank(
        features, features[0] + 0.5, np.arange(1, 20), np.arange(20, 30), Weights(1, 0.75, 0.15)
    )
    rows = random.permutation(200)[:70]
    assert ranking.score(rows).tolist() == ranking.scores[rows].tolist()
    assert [ranking.score(np.array([row]))[0] for row in range(200)] == ranking.scores.tolist()
