"""Shares of resamples in which a category is the lowest, against an enumeration of all draws in exact fractions."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from cbir.evaluation.lowest import lowest_f1_shares


def exact(queries: list[tuple[int, int]], categories: int) -> list[float]:
    """Return the probability that each category is the lowest, over all draws of the queries (true, predicted)."""
    lowest = [Fraction(0)] * categories
    for drawn in product(queries, repeat=len(queries)):
        f1 = {}
        for label in {true for true, _ in drawn}:
            right = sum(pair == (label, label) for pair in drawn)
            f1[label] = Fraction(2 * right, sum((true == label) + (predicted == label) for true, predicted in drawn))
        ties = [label for label, value in f1.items() if value == min(f1.values())]
        for label in ties:
            lowest[label] += Fraction(1, len(ties))
    return [float(share / len(queries) ** len(queries)) for share in lowest]


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        # Both the first: it is alone. Else the second is drawn, whose F1 is 0.
        ([(0, 0), (1, 0)], [1 / 4, 3 / 4]),
        ([(0, 0), (0, 1), (1, 1), (1, 1), (3, 0)], None),
        # All right: a draw of both is shared.
        ([(0, 0), (1, 1)], [1 / 2, 1 / 2]),
    ],
)
def test_shares(queries: list[tuple[int, int]], expected: list[float] | None) -> None:
    counts = np.zeros((4, 4), np.int64)
    for pair in queries:
        counts[pair] += 1
    wanted = exact(queries, 4)
    assert expected is None or wanted[: len(expected)] == expected
    # Four standard errors of 9,999 draws are at most 0.02.
    assert lowest_f1_shares(counts, seed=0, resamples=9999) == pytest.approx(wanted, abs=0.02)


def test_the_seed_decides_and_no_query_gives_none() -> None:
    counts = np.array([[5, 3], [4, 6]])
    first, again, other = (lowest_f1_shares(counts, seed=seed).tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert lowest_f1_shares(np.zeros((2, 2), np.int64), seed=0).tolist() == [0, 0]
