"""What of a table is drawn where a picture or a page has no room for all of its categories."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST = 60
"""Categories of a picture or a matrix on a page; beyond, a person sees nothing and the memory grows with the square."""


def most_confused(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the places of the categories that are confused most often, in the order of the matrix.

    Args:
        counts: confusion matrix (n, n), rows true, columns predicted.
        most: how many, at most.

    Returns:
        Indices, int64, ascending; of equally often confused ones the first.
    """
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    return np.sort(np.argsort(-wrong, kind="stable")[:most])


def both_ends(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the first and the last rows of a sorted table, ``most`` together; all of them where it has no more."""
    if len(table) <= most:
        return table
    return pd.concat([table.head(most - most // 2), table.tail(most // 2)])


def cut(shown: int, whole: int, what: str, file: str) -> str:
    """Return a heading that says that not all is shown; empty where it is."""
    return "" if shown == whole else f"{what} of {whole:,} categories; {file} has all"
