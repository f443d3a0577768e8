"""The orders of many rankings of one gallery at once, the same as each ranking's own.

A matrix product gives the scores of many rankings fast, but rounds. So it only gives bounds of each score; wherever
bounds overlap, the rankings' own scores decide.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.feedback.distances import Features
from cbir.feedback.strategies import Hyperplane, Near, NearestJudged, Ranking, Rows
from cbir.files import threads
from cbir.retrieval import exact

Matrix = NDArray[np.float64]
# Bounds of scores from below and from above, each float64 (rankings, n).
Bounds = tuple[Matrix, Matrix]

# Bytes of the distances held at once.
_BYTES = 64_000_000

# Gallery rows that are multiplied at once.
_ROWS = 1024

_EPSILON = float(np.finfo(np.float64).eps)


def orders(rankings: Sequence[Ranking]) -> list[Rows]:
    """Return ``ranking.order`` for each of several rankings of the same gallery."""
    found: list[Any] = [None] * len(rankings)
    with threads.shared() as parts, np.errstate(over="ignore", invalid="ignore"):
        for kind, bound in _BOUNDS.items():
            places = [place for place, ranking in enumerate(rankings) if isinstance(ranking, kind)]
            if places:
                bounds = bound([rankings[place] for place in places], parts)
                for place, low, high in zip(places, *bounds, strict=True):
                    found[place] = _settled(rankings[place], low, high)
    return found


def _settled(ranking: Ranking, low: NDArray[np.float64], high: NDArray[np.float64]) -> Rows:
    """Return the order that bounds of the scores tell, and where they do not, the scores themselves."""
    order = np.argsort(-(low + high))
    # All before a place are above all behind it. Bounds that are no numbers tell nothing.
    clear = np.minimum.accumulate(low[order])[:-1] > np.maximum.accumulate(high[order[::-1]])[::-1][1:]
    run = np.concatenate([[0], np.cumsum(clear)])
    inside = np.concatenate([[False], ~clear]) | np.concatenate([~clear, [False]])
    rows = order[inside]
    if rows.size:
        order[inside] = rows[np.lexsort((rows, -ranking.score(rows), run[inside]))]
    return order


def _near(rankings: Sequence[Near], parts: int) -> Bounds:
    squares, errors = _squares(np.stack([ranking.vector for ranking in rankings]), rankings[0].features, parts)
    # The square root keeps the order: squares that are further apart than their errors have different roots.
    return -(squares + errors[:, None]), -(squares - errors[:, None])


def _nearest_judged(rankings: Sequence[NearestJudged], parts: int) -> Bounds:
    features = rankings[0].features
    low, high = np.empty((2, len(rankings), len(features)))
    points = max(1 + ranking.relevant.size + ranking.irrelevant.size for ranking in rankings)
    step = max(1, _BYTES // (8 * points * max(len(features), 1)))
    for start in range(0, len(rankings), step):
        some = rankings[start : start + step]
        # Images that several users judged are measured once.
        judged = np.unique(
            np.concatenate([rows for ranking in some for rows in (ranking.relevant, ranking.irrelevant)])
        )
        squares, errors = _squares(
            np.vstack([*(ranking.vector for ranking in some), features[judged]]), features, parts
        )
        error = errors.max()
        for number, ranking in enumerate(some):
            relevant, irrelevant = (
                len(some) + np.searchsorted(judged, rows) for rows in (ranking.relevant, ranking.irrelevant)
            )
            close = squares[[number, *relevant]].min(axis=0)
            nearer, less_near = np.sqrt(np.maximum(close - error, 0)), np.sqrt(close + error)
            if irrelevant.size:
                far = squares[irrelevant].min(axis=0)
                less_far, farther = np.sqrt(np.maximum(far - error, 0)), np.sqrt(far + error)
                # Roundings of roots, sum and quotient of numbers up to 1.
                low[start + number] = less_far / (less_near + less_far) - 8 * _EPSILON
                high[start + number] = farther / (nearer + farther) + 8 * _EPSILON
            else:
                low[start + number] = -less_near * (1 + 4 * _EPSILON)
                high[start + number] = -nearer * (1 - 4 * _EPSILON)
    return low, high


def _hyperplanes(rankings: Sequence[Hyperplane], parts: int) -> Bounds:
    features = rankings[0].features
    normals = np.stack([ranking.normal for ranking in rankings])
    products, lengths = np.empty((len(rankings), len(features))), np.empty(len(features))

    def fill(block: slice) -> None:
        rows = features[block].astype(np.float64)
        np.matmul(normals, rows.T, out=products[:, block])
        lengths[block] = np.sqrt(np.einsum("ij,ij->i", rows, rows))

    threads.in_blocks(len(features), _ROWS, fill, parts=parts)
    shift, spread, offset = (
        np.array([[getattr(ranking, name)] for ranking in rankings]) for name in ("shift", "spread", "offset")
    )
    middle = (products - shift) / spread + offset
    # Two sums of d products, each within d u |x| of the true one (u, half of epsilon, the unit roundoff; see
    # `cbir.retrieval.exact.Keys`), as a normal is of length 1; then the roundings of a difference, a quotient and a
    # sum.
    error = (features.shape[1] + 8) * _EPSILON * lengths
    slack = (error + 4 * _EPSILON * (np.abs(products) + np.abs(shift))) / spread
    slack += 4 * _EPSILON * (np.abs(middle) + np.abs(offset))
    return middle - slack, middle + slack


def _squares(points: Matrix, features: Features, parts: int) -> tuple[Matrix, NDArray[np.float64]]:
    """Return squared distances (m, n) from points to the gallery, and how far exact ones may be from them, (m,)."""
    keys = exact.Keys(points, features, np.float64)
    squares, errors = np.empty((len(points), len(features))), np.empty(len(points))

    def fill(rows: slice) -> None:
        x, lengths, margins = keys.prepare(rows)
        keys.fill(x, slice(0, len(features)), squares[rows])
        squares[rows] += keys.squares
        squares[rows] += (lengths**2)[:, None]
        # The margin is twice the error of a key; these are the roundings of both sums.
        errors[rows] = margins + 8 * _EPSILON * (lengths + keys.longest) ** 2

    threads.in_blocks(len(points), -(-len(points) // parts), fill, parts=parts)
    return squares, errors


_BOUNDS: dict[type[Ranking], Callable[[Any, int], Bounds]] = {
    Near: _near,
    NearestJudged: _nearest_judged,
    Hyperplane: _hyperplanes,
}
