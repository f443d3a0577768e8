"""ANMRR in a gallery of images that no network was trained on.

The usual gallery is the train split, and a network ranks the images of its training better than others. The validation
images only decided which epoch was best. Because ANMRR depends on the size of the gallery, it is measured in a gallery
of validation images and, for comparison, in one of as many train images.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import Relevant
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.features.store import FeatureStore
from cbir.retrieval import exact

MOST_IMAGES, MOST_PAIRS = 20_000, 20_000_000
"""So many images are searched at most, and so many pairs of a query and an image are compared."""


def unseen_gallery(
    train: FeatureStore,
    val: FeatureStore,
    test: FeatureStore,
    block_bytes: int = exact.BLOCK_BYTES,
    relevant: Relevant | None = None,
) -> dict[str, Any]:
    """Return ANMRR in a gallery of val images, and in one of train images of the same size and categories.

    Of large splits a sample is taken: the same share of each category, so that at most ``MOST_IMAGES`` are searched,
    and queries that are evenly spaced in their order, so that there are at most ``MOST_PAIRS``.

    Args:
        train: the method's features of the train images.
        val: those of the validation images.
        test: those of the queries.
        block_bytes: memory for a block of rankings.
        relevant: which labels share a category; None if each label is a category.

    Returns:
        ``gallery``, the number of images in each gallery: of each category as many as both splits have, the first in
        the order of their SHA-256; ``anmrr``, of the val images; ``anmrr_train``, of the train images. ANMRR is None
        where no query's category is in the gallery.
    """
    relevant = relevant or Relevant.one_each(train.label, val.label, test.label)
    counts = np.minimum(*(np.bincount(store.label, minlength=len(relevant.has)) for store in (train, val)))
    counts = counts * MOST_IMAGES // max(int(counts.sum()), MOST_IMAGES)
    most = max(MOST_PAIRS // max(int(counts.sum()), 1), 1)
    if len(test.label) > most:
        test = test.rows(np.linspace(0, len(test.label) - 1, most).round().astype(np.int64))
    figures = [_anmrr(store, _first(store, counts), test, counts, relevant, block_bytes) for store in (val, train)]
    return {"gallery": int(counts.sum()), **dict(zip(("anmrr", "anmrr_train"), figures, strict=True))}


def _first(store: FeatureStore, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of the first images of each category by their SHA-256, in the order of the store."""
    order = np.lexsort((store.sha256.astype(np.bytes_), store.label))
    place = np.arange(len(order)) - np.searchsorted(store.label[order], store.label[order])
    return np.sort(order[place < counts[store.label[order]]])


def _anmrr(
    store: FeatureStore,
    rows: NDArray[np.int64],
    test: FeatureStore,
    counts: NDArray[np.int64],
    relevant: Relevant,
    block_bytes: int,
) -> float | None:
    found = relevant.count(counts)[test.label]
    if not found.any():
        return None
    labels, values = store.label[rows], np.empty(len(test.label))
    for queries, order in exact.rankings(test.features, store.features[rows], block_bytes):
        relevance = relevant(labels[order], test.label[queries, None])
        values[queries] = REGISTRY["anmrr"].per_query(relevance, gtm=int(found.max()))
    return mean_defined(values)
