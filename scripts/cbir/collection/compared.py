"""A file of the images that were compared in earlier runs, so that only new ones are compared with all others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cbir.files import memory

_FORM: memory.Form = {"sha256": ("S", 1), "hashes": (np.uint8, 2), "pairs": (np.int64, 2), "copies": (np.uint8, 1)}


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
        compared = None if found is None else _compared(found)
        return compared if compared is not None and _is_whole(compared) else None

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
    compared = _compared(memory.read(path, _FORM)[1])
    if not _is_whole(compared):
        raise memory.damaged(path, "its values are not possible")
    return compared


def _compared(arrays: memory.Arrays) -> Compared:
    return Compared(**arrays | {"copies": arrays["copies"].astype(np.bool_)})


def _is_whole(compared: Compared) -> bool:
    """Tell whether the four fit together, whoever wrote the file."""
    names = compared.sha256.tolist()
    return (
        names == sorted(set(names))
        and len(names) == len(compared.hashes)
        and compared.pairs.shape == (4, len(compared.copies))
        and bool(((compared.pairs[0] >= 0) & (compared.pairs[0] < compared.pairs[1])).all())
        and bool((compared.pairs[1] < len(names)).all())
    )
