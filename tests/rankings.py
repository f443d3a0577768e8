"""Random rankings to test metrics: ties in distance, categories of one image or none, galleries of one image."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

GALLERIES, QUERIES = 400, 10


@dataclass(frozen=True)
class Case:
    """One random gallery with its queries."""

    gallery: NDArray[np.int64]  # (gallery,), labels
    queries: NDArray[np.int64]  # (queries,), labels
    distances: NDArray[np.int64]  # (queries, gallery), in gallery order

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        """(queries, gallery), in gallery order."""
        return self.queries[:, None] == self.gallery

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(queries, gallery), gallery rows, closest first, ties in gallery order."""
        return self.distances.argsort(axis=1, kind="stable")

    @cached_property
    def relevance(self) -> NDArray[np.bool_]:
        """(queries, gallery), closest first."""
        return np.take_along_axis(self.relevant, self.order, axis=1)


def random_case(seed: int, ties: bool) -> Case:
    """Return a gallery of 1 to 40 images with 10 queries; ``ties`` draws the distances from 6 values."""
    rng = np.random.default_rng([seed, ties])
    size = int(rng.integers(1, 41))
    # Squaring skews the categories' sizes: some hold one image or none, so that queries of them have NG 1 or 0.
    gallery = (rng.random(size) ** 2 * 8).astype(int)
    queries = rng.integers(0, 9, size=QUERIES)
    distances = rng.integers(0, 6, size=(QUERIES, size)) if ties else rng.random((QUERIES, size)).argsort(axis=1)
    return Case(gallery, queries, distances)


def ranking(*ranks: int, gallery: int = 20) -> NDArray[np.bool_]:
    """Return the relevance, bool (1, gallery), of one query with relevant images at these ranks, counted from 1."""
    relevance = np.zeros((1, gallery), dtype=bool)
    relevance[0, np.array(ranks, dtype=int) - 1] = True
    return relevance


NONE = ranking()
