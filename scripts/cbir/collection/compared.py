"""A file of the images that were compared in earlier runs, so that only new ones are compared with all others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cbir.files import memory


@dataclass(frozen=True)
class Compared:
    """Images of which all pairs were compared, and the pairs that are near.

    Attributes:
        sha256: (n,) text, sorted.
        hashes: (n, bytes) uint8, all perceptual hashes of each image.
        pairs: int64 (4, m), the nearest pairs of the images: row, other row (the larger one), distance in bits, and 1
            if one is mirrored.
        copies: bool (m,), whether each pair was confirmed.
    """

    sha256: NDArray[np.object_]
    hashes: NDArray[np.uint8]
    pairs: NDArray[np.int64]
    copies: NDArray[np.bool_]


@dataclass(frozen=True)
class Memory:
    """The file, see `cbir.files.memory`.

    Attributes:
        path: the file.
        made_by: everything but the images that decides the pairs: settings, code and versions of libraries.
    """

    path: Path
    made_by: str

    def read(self) -> Compared | None:
        """Return what the file holds; None if it is missing, damaged or was made in another way."""
        found = memory.recall(self.path, self.made_by, _FORM)
        return None if found is None else _compared(found)

    def write(self, compared: Compared) -> None:
        """Replace the file.

        Raises:
            InputError: when it cannot be written.
        """
        memory.write(self.path, self.made_by, vars(compared) | {"copies": compared.copies.astype(np.uint8)})


def read(path: Path) -> Compared:
    """Return what a file holds, whatever made it.

    Raises:
        InputError: when it is missing or damaged.
    """
    return _compared(memory.read(path, _FORM)[1])


def _compared(arrays: memory.Arrays) -> Compared:
    return Compared(**arrays | {"copies": arrays["copies"].astype(np.bool_)})


def _is_possible(arrays: memory.Arrays) -> bool:
    names, pairs = arrays["sha256"].tolist(), arrays["pairs"]
    return (
        names == sorted(set(names))
        and len(names) == len(arrays["hashes"])
        and pairs.shape == (4, len(arrays["copies"]))
        and bool(((pairs[0] >= 0) & (pairs[0] < pairs[1]) & (pairs[1] < len(names))).all())
    )


_FORM = memory.Form(
    {"sha256": ("S", 1), "hashes": (np.uint8, 2), "pairs": (np.int64, 2), "copies": (np.uint8, 1)}, _is_possible
)
