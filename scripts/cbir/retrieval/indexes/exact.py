"""Exact search over the gallery's features as they are; it needs no file of its own."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LABEL = "exact search"
SUFFIX = ""


def build(features: NDArray[Any]) -> NDArray[Any]:
    """Return the features."""
    return features


def open(path: Path, features: NDArray[Any], about: dict[str, Any]) -> NDArray[Any]:
    """Return the features."""
    return features


def search(index: NDArray[Any], queries: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distances and rows of the k nearest; ties by row."""
    # Imported here, because it imports threadpoolctl, which planning the workflow does not need.
    from cbir.retrieval.exact import nearest

    return nearest(queries, index, k)
