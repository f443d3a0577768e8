"""Expansion: an image's vector becomes a weighted mean of its own and those of its nearest gallery images.

Of the gallery this is database-side augmentation, of queries alpha query expansion. Sources: Arandjelovic and
Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012; Radenovic, Tolias and Chum,
"Fine-tuning CNN image retrieval with no human annotation", TPAMI 41(7), 2019.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cbir.features.blocks import mapped
from cbir.features.steps import Arrays, l2
from cbir.files.errors import InputError

OPTIONS = {
    "neighbours": {
        "description": "How many nearest gallery images, at most all; an image of the gallery is one of its own.",
        "type": "integer",
        "minimum": 1,
        "default": 10,
    },
    "power": {
        "description": "A neighbour weighs its cosine to this power, 0 if the cosine is negative.",
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "default": 3,
    },
    "which": {
        "description": "What is expanded; the other is only scaled to length 1.",
        "enum": ["both", "gallery", "query"],
        "type": "string",
        "default": "both",
    },
}

OF_GALLERY = ("gallery",)

# Bytes of the products of a block of rows with the gallery.
_BYTES = 64_000_000

_EPSILON = float(np.finfo(np.float32).eps)


def fit(gallery: NDArray[np.float64], *, neighbours: int = 10, power: float = 3, which: str = "both") -> Arrays:
    """Return the gallery as queries see it (n, d) float32, each row of length 1, and the options.

    A gallery row becomes the sum of its ``neighbours`` nearest gallery rows by cosine, itself among them, each weighted
    by max(cosine, 0)^power, and is scaled to length 1. All rows are scaled to length 1 before.

    Args:
        gallery: (n, d).
        neighbours: how many are summed up; all if there are fewer.
        power: of the cosines.
        which: what is expanded, ``both``, ``gallery`` or ``query``.
    """
    searched = mapped(len(gallery), lambda block: l2.apply({}, gallery[block], True).astype(np.float32), np.float32)
    if which != "query":
        plain = searched

        def expanded(block: slice) -> NDArray[np.float32]:
            sums = _sums(l2.apply({}, gallery[block], True), plain, neighbours, power)
            return l2.apply({}, sums, True).astype(np.float32)

        searched = mapped(len(gallery), expanded, np.float32)
    return {
        "gallery": searched,
        "neighbours": np.asarray(neighbours, np.int64),
        "power": np.asarray(power, np.float64),
        "expands_queries": np.asarray(int(which != "gallery"), np.int64),
    }


def apply(arrays: Arrays, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
    """Return the expanded rows, each of length 1; a zero vector stays zero.

    A query becomes itself, scaled to length 1, plus the weighted sum of its nearest rows of the expanded gallery; that
    is scaled to length 1. Queries do not see one another.

    Raises:
        InputError: when ``is_gallery`` and the rows are not as many as it was fitted on.
    """
    gallery = arrays["gallery"]
    if is_gallery:
        if rows.shape != gallery.shape:
            raise InputError(
                f"An expansion was fitted on {len(gallery)} gallery images, not {len(rows)}: run the workflow again."
            )
        return gallery.astype(np.float64)
    unit = l2.apply({}, rows, False)
    if not arrays["expands_queries"]:
        return unit
    return l2.apply({}, unit + _sums(unit, gallery, int(arrays["neighbours"]), float(arrays["power"])), False)


def _sums(
    rows: NDArray[np.float64], gallery: NDArray[np.float32], neighbours: int, power: float
) -> NDArray[np.float64]:
    """Return for each row (m, d) the weighted sum of its nearest gallery rows (n, d); all are of length 1 or 0."""
    sums = np.empty_like(rows)
    for row, near in enumerate(_nearest(rows, gallery, neighbours)):
        vectors = gallery[near].astype(np.float64)
        # By row and not as a matrix product, whose digits depend on how many rows there are.
        cosines = (vectors * rows[row]).sum(axis=1)
        best = np.lexsort((near, -cosines))[:neighbours]
        # To the power 0, a cosine that was set to 0 would count again.
        weights = np.where(cosines[best] > 0, np.maximum(cosines[best], 0) ** power, 0)
        sums[row] = (weights[:, None] * vectors[best]).sum(axis=0)
    return sums


def _nearest(rows: NDArray[np.float64], gallery: NDArray[np.float32], neighbours: int) -> Iterator[NDArray[np.int64]]:
    """Yield for each row (m, d) the gallery rows that may be among its nearest, in the order of the gallery."""
    count = min(neighbours, len(gallery))
    # A sum of d products of float32 is within d u of the true one (u, half of epsilon), the numbers' own rounding adds
    # a few more; so are both the last of the nearest and one that is held against it.
    margin = (gallery.shape[1] + 8) * _EPSILON
    step = max(_BYTES // (4 * len(gallery)), 1)
    for start in range(0, len(rows), step):
        products = rows[start : start + step].astype(np.float32) @ gallery.T
        last = np.partition(products, -count, axis=1)[:, -count]
        for row, limit in zip(products, last - margin, strict=True):
            yield np.flatnonzero(row >= limit)
