"""Novelty detection: is a query like anything in the gallery, judged by the distances to its nearest images."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cbir.retrieval import exact

Values = NDArray[np.float64]

PARTS = 5
"""Into how many parts the categories are divided; one part at a time is hidden from the gallery."""
# Gallery rows that are copied at once: 336 MB of 1280 values.
_COPIED = 65_536


def scores(distances: Values, neighbours: Sequence[int]) -> Values:
    """Return the mean distance to the nearest images: the larger, the less the query resembles anything in the gallery.

    Args:
        distances: float64 (q, k), nearest first.
        neighbours: numbers of images to take the mean over, each at least 1; a number above k is taken as k.

    Returns:
        float64 (len(neighbours), q).
    """
    return np.array([distances[:, :count].mean(axis=1) for count in neighbours]).reshape(len(neighbours), -1)


def hidden_scores(
    gallery: exact.Features,
    gallery_labels: NDArray[np.int64],
    queries: exact.Features,
    query_labels: NDArray[np.int64],
    neighbours: Sequence[int],
    block_bytes: int = exact.BLOCK_BYTES,
) -> Values:
    """Return each query's scores in a gallery from which its category is hidden.

    A fifth of the categories is hidden at a time: in the order of their labels the first, the sixth and so on, then the
    second, the seventh and so on. A query whose category is not in the gallery is searched in the whole gallery.

    Args:
        gallery: (n, d).
        gallery_labels: int64 (n,).
        queries: (q, d).
        query_labels: int64 (q,).
        neighbours: see `scores`.
        block_bytes: memory for a block of keys.

    Returns:
        float64 (len(neighbours), q); NaN where the gallery has no other category.
    """
    found = np.full((len(neighbours), len(queries)), np.nan)
    known = np.unique(gallery_labels)
    parts = min(PARTS, len(known))
    part_of = {int(label): place % parts for place, label in enumerate(known)}
    of_gallery = np.array([part_of[int(label)] for label in gallery_labels], np.int64)
    of_queries = np.array([part_of.get(int(label), -1) for label in query_labels], np.int64)
    for part in np.unique(of_queries):
        rows, kept = of_queries == part, of_gallery != part
        if kept.any():
            found[:, rows] = scores(_nearest(queries[rows], gallery, kept, max(neighbours), block_bytes), neighbours)
    return found


def _nearest(
    queries: exact.Features, gallery: exact.Features, kept: NDArray[np.bool_], k: int, block_bytes: int
) -> Values:
    """Return the distances (q, k) to the nearest of the gallery's rows that are kept, which are copied in blocks."""
    rows = np.flatnonzero(kept)
    found = np.empty((len(queries), 0))
    for start in range(0, len(rows), _COPIED):
        distances, _ = exact.nearest(queries, gallery[rows[start : start + _COPIED]], k, block_bytes)
        found = np.sort(np.concatenate([found, distances], axis=1), axis=1)[:, :k]
    return found


def auroc(known: Values, unknown: Values) -> float | None:
    """Return the area under the ROC curve: the probability that an unknown query scores higher than a known one.

    Ties count half.

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143(1), 1982.

    Args:
        known: float64 (n,), scores of queries whose category is in the gallery.
        unknown: float64 (m,), scores of the others.

    Returns:
        0.5 is chance, 1 is perfect; None if either is empty.
    """
    if not len(known) or not len(unknown):
        return None
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, "left") + np.searchsorted(ordered, unknown, "right")
    return float(below.mean() / 2 / len(known))


def threshold(known: Values, false_alarms: float) -> float:
    """Return the score that a further query of a known category exceeds with a probability of at most ``false_alarms``.

    It is the ceil((n + 1) (1 - false_alarms))-th smallest of the n known scores. The bound holds for any distribution
    as long as the known and the further queries are exchangeable (Vovk, Gammerman and Shafer, "Algorithmic learning in
    a random world", 2005; Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics 51(1),
    2023).

    Args:
        known: float64 (n,), scores of queries whose category is in the gallery.
        false_alarms: between 0 and 1.

    Raises:
        ValueError: when n is too small for the bound: 0.05 needs 19 queries.
    """
    # Rounded, because in floating point 20 times 0.95 may be above 19.
    place = math.ceil(round((len(known) + 1) * (1 - false_alarms), 9))
    if not 1 <= place <= len(known):
        raise ValueError(f"{len(known)} known queries give no threshold of {false_alarms} false alarms")
    return float(np.sort(known)[place - 1])
