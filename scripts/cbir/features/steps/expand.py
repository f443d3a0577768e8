"""Expansion: an image's vector becomes a weighted mean of its own and those of its nearest gallery images.

Applied to the gallery this is database-side augmentation (Arandjelovic and Zisserman, "Three things everyone should
know to improve object retrieval", CVPR 2012). Applied to queries it is alpha query expansion (Radenovic, Tolias and
Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 41(7), 2019).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cbir.features.blocks import mapped
from cbir.features.steps import Arrays, l2
from cbir.files.errors import InputError

OPTIONS = {
    "neighbours": {
        "description": "How many nearest gallery images are averaged; a gallery image counts as its own nearest.",
        "type": "integer",
        "minimum": 1,
        "default": 10,
    },
    "power": {
        "description": "The weight of a neighbour is its cosine to this power, or 0 if the cosine is negative.",
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "default": 3,
    },
    "which": {
        "description": "Which vectors are expanded; the others are only scaled to length 1.",
        "enum": ["both", "gallery", "query"],
        "type": "string",
        "default": "both",
    },
}

OF_GALLERY = ("gallery",)

# Memory for the products of a block of rows with the gallery, in bytes.
_BYTES = 64_000_000

_EPSILON = float(np.finfo(np.float32).eps)


def fit(gallery: NDArray[np.float64], *, neighbours: int, power: float, which: str) -> Arrays:
    """Return the gallery that queries are compared with (n, d) float32, its rows of length 1, and the options.

    All rows are scaled to length 1 first. An expanded gallery row is the sum of its ``neighbours`` nearest gallery rows
    by cosine, including itself, each weighted by max(cosine, 0)^power, scaled to length 1.

    Args:
        gallery: (n, d).
        neighbours: how many rows are summed; all rows if the gallery has fewer.
        power: exponent of the cosines.
        which: which vectors are expanded: ``both``, ``gallery`` or ``query``.
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

    A query is scaled to length 1, the weighted sum of its nearest rows of the gallery returned by `fit` is added, and
    the result is scaled to length 1. It does not depend on other queries.

    Raises:
        InputError: when ``is_gallery`` is true and the shape of the rows is not that of the fitted gallery.
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
    """Return for each row (m, d) the weighted sum of its nearest gallery rows (n, d); rows have length 1 or 0."""
    sums = np.empty_like(rows)
    for row, near in enumerate(_nearest(rows, gallery, neighbours)):
        vectors = gallery[near].astype(np.float64)
        # Row by row, because the rounding of a matrix product depends on its number of rows.
        cosines = (vectors * rows[row]).sum(axis=1)
        best = np.lexsort((near, -cosines))[:neighbours]
        # A negative cosine weighs 0 even if the power is 0, although 0 ** 0 is 1.
        weights = np.where(cosines[best] > 0, np.maximum(cosines[best], 0) ** power, 0)
        sums[row] = (weights[:, None] * vectors[best]).sum(axis=0)
    return sums


def _nearest(rows: NDArray[np.float64], gallery: NDArray[np.float32], neighbours: int) -> Iterator[NDArray[np.int64]]:
    """Yield for each row (m, d) the positions of all gallery rows that may be among its nearest, ascending.

    The products are computed in float32, which is fast. The margin keeps every row that rounding may have misplaced.
    """
    count = min(neighbours, len(gallery))
    # The error of a float32 sum of d products of unit vectors is at most d * epsilon / 2, and rounding the vectors to
    # float32 adds a few more epsilon / 2. The margin covers the errors of both of the compared products.
    margin = (gallery.shape[1] + 8) * _EPSILON
    step = max(_BYTES // (4 * len(gallery)), 1)
    for start in range(0, len(rows), step):
        products = rows[start : start + step].astype(np.float32) @ gallery.T
        last = np.partition(products, -count, axis=1)[:, -count]
        for row, limit in zip(products, last - margin, strict=True):
            yield np.flatnonzero(row >= limit)
