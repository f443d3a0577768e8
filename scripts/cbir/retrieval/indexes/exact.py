"""Exact search in the gallery's features. The index is the feature matrix itself, so there is no file."""

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
    # Imported here, because planning the workflow imports this module and does not need threadpoolctl.
    from cbir.retrieval.exact import nearest

    return nearest(queries, index, k)
