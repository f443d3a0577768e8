"""A file of the images that were compared in earlier runs, so that only new ones are compared with all others."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.hdf5 import attributes, dataset, opened, texts, write_attributes, write_texts


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
    """The file, written whole or not at all.

    Attributes:
        path: an HDF5 file.
        made_by: everything but the images that decides the pairs: settings, code and versions of libraries.
    """

    path: Path
    made_by: str

    def read(self) -> Compared | None:
        """Return what the file holds; None if it is missing, damaged or was made in another way."""
        try:
            made_by, found = read(self.path)
        # h5py raises many types of exception on damaged files.
        except Exception:
            return None
        return found if made_by == self.made_by else None

    def write(self, compared: Compared) -> None:
        """Replace the file.

        Raises:
            InputError: when it cannot be written.
        """
        size = 64 * len(compared.sha256) + compared.hashes.nbytes + compared.pairs.nbytes + compared.copies.nbytes
        with atomic(self.path, size + HDF5_OVERHEAD) as temporary, h5py.File(temporary, "w") as file:
            write_texts(file, "sha256", list(compared.sha256))
            file.create_dataset("hashes", data=compared.hashes)
            file.create_dataset("pairs", data=compared.pairs)
            file.create_dataset("copies", data=compared.copies.astype(np.uint8))
            write_attributes(file, {"made_by": self.made_by, "content": _content(compared)})


def read(path: Path) -> tuple[str, Compared]:
    """Return what made a file, and what it holds.

    Raises:
        ValueError: when it is damaged; h5py raises further types of exception.
    """
    with opened(path) as file:
        about = attributes(file, ["made_by", "content"])
        found = Compared(
            texts(dataset(file, "sha256", "S", 1)),
            dataset(file, "hashes", np.uint8, 2)[()],
            dataset(file, "pairs", np.int64, 2)[()],
            dataset(file, "copies", np.uint8, 1)[()].astype(np.bool_),
        )
    if not _is_whole(found) or _content(found) != about["content"]:
        raise ValueError("its values are not those it was written with")
    return str(about["made_by"]), found


def _is_whole(compared: Compared) -> bool:
    """Tell whether the four fit together, whoever wrote the file."""
    names, (rows, others) = compared.sha256.tolist(), compared.pairs[:2]
    return (
        names == sorted(set(names))
        and len(names) == len(compared.hashes)
        and len(compared.pairs) == 4
        and len(compared.copies) == compared.pairs.shape[1]
        and bool(((rows >= 0) & (rows < others) & (others < len(names))).all())
    )


def _content(compared: Compared) -> str:
    """Return a hash of all values, by which a damaged file is noticed."""
    digest = hashlib.sha256("\n".join(compared.sha256).encode())
    for values in (compared.hashes, compared.pairs, compared.copies):
        digest.update(repr(values.shape).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
