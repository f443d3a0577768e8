"""Rows of very many images, a block at a time, in a file where they would fill the memory."""

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.files.errors import InputError

IN_MEMORY = 65_536
"""Up to so many rows are one block, in memory: 671 MB of 1280 float64 values."""
_BLOCK = 16_384


def spans(rows: int) -> Iterator[slice]:
    """Yield blocks of rows: all at once up to `IN_MEMORY`."""
    step = max(rows, 1) if rows <= IN_MEMORY else _BLOCK
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def space(rows: int, dimension: int, kind: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
    """Return room for rows (rows, dimension); of more than `IN_MEMORY` it is a file that goes with the array.

    The system writes parts of the file to the disk where memory is short, in the folder for temporary files (TMPDIR).

    Raises:
        InputError: when that folder has no room.
    """
    if rows <= IN_MEMORY or not dimension:
        return np.empty((rows, dimension), kind)
    size = rows * dimension * np.dtype(kind).itemsize
    try:
        with tempfile.TemporaryFile() as file:
            # Reserved now: to write to a mapped page that has no room on the disk would end the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.asarray(np.memmap(file, kind, "r+", shape=(rows, dimension)))
    except OSError as error:
        raise InputError(
            f"The folder for temporary files, {tempfile.gettempdir()}, has no room for {size / 1e9:.1f} GB "
            f"({error}): free space, or set TMPDIR to another folder."
        ) from None


def mapped(rows: int, make: Callable[[slice], NDArray[Any]], kind: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
    """Return what a function makes of each block of rows, in `space`; of at most `IN_MEMORY` rows what it returned."""
    found: NDArray[Any] | None = None
    for block in spans(rows):
        made = make(block)
        if len(made) == rows and made.dtype == kind:
            return made
        if found is None:
            found = space(rows, made.shape[1], kind)
        found[block] = made
    return make(slice(0, 0)).astype(kind) if found is None else found
