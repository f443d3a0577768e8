"""Choose the part of a table that is drawn where a picture or a page has no room for all categories."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST = 60
"""The most categories of a picture or a matrix: more are unreadable, and memory grows with the square."""


def most_confused(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the indices of the categories that are confused most often.

    Args:
        counts: confusion matrix (n, n), rows true, columns predicted.
        most: the most indices to return.

    Returns:
        Indices, int64, ascending. Of categories that are confused equally often, the first are chosen.
    """
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    return np.sort(np.argsort(-wrong, kind="stable")[:most])


def both_ends(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the first and the last rows of a sorted table, ``most`` in total; a shorter table is returned whole."""
    if len(table) <= most:
        return table
    return pd.concat([table.head(most - most // 2), table.tail(most // 2)])


def cut(shown: int, whole: int, what: str, file: str) -> str:
    """Return a heading that says that only ``shown`` of ``whole`` categories are shown; "" if all are."""
    return "" if shown == whole else f"{what} of {whole:,} categories; {file} has all"
