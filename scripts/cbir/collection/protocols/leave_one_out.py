"""Each image is a query, and all other images are its gallery: for small collections."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.protocols._folds import alone, apart, of_two

GALLERY = "test"
EVERY_IMAGE_ASKS = True
EXPLANATION = (
    "Each image is a query, and all other images without its near-duplicates are its gallery. No encoder is trained "
    "here, because it would have seen the queries."
)


def least(settings: Mapping[str, Any]) -> int:
    """Return the number of images that a category needs: a query and a result."""
    return 2


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Put all images into test, which is its own gallery.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        settings: ``small``: categories of one image are refused, or stay in the gallery, where they are queries without
            relevant images (``gallery``), or are in no split (``drop``).
        groups: by sha256, the group of each image that has near-duplicates, which are not among its results.

    Returns:
        A table a split, sorted by image_id; ``train`` and ``val`` are empty.

    Raises:
        InputError: when categories have one image, or none has more.
    """
    kept, _ = of_two(images, settings)
    return alone(apart(kept, groups))
