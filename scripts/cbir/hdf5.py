"""Read HDF5 files that may come from elsewhere: no other file is opened, no memory filled, and reading ends."""

import io
import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[h5py.File]:
    """Open a file, or the bytes of one, for reading.

    Raises:
        ValueError: when it is no regular file, or the library would read it without end.
        OSError: when it is no HDF5 file.
    """
    if isinstance(source, bytes):
        _require_finite_heaps(source)
    elif not Path(source).is_file():
        # A pipe would be waited for.
        raise ValueError("it is no file")
    else:
        with Path(source).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _require_finite_heaps(data)
    with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
        yield file


def attributes(group: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return the attributes, which are texts or numbers, as plain values.

    Raises:
        ValueError: when one is of another type; of a damaged type the library would read memory that it does not own.
    """
    found = {}
    for name in group.attrs:
        if not isinstance(group.attrs.get_id(name).get_type(), _PLAIN_TYPES):
            raise ValueError(f"the attribute {name!r} is neither a text nor a number")
        value = group.attrs[name]
        found[name] = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return found


# NumPy's truth values are an enumeration to HDF5.
_PLAIN_TYPES = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeEnumID)


def _require_finite_heaps(data: bytes | mmap.mmap) -> None:
    """Refuse a heap of texts with an object of no length, at which the library (1.14) goes round in a circle.

    A heap (HDF5 file format, III.E) begins with GCOL, a version (the library refuses all but 1) in 4 bytes and its size
    in 8. Its objects begin with a number in 2 bytes, 6 others, and a length in 8; number 0 is the room that is left,
    its own 16 bytes included.
    """
    # With its version, as vectors may have these bytes by chance.
    start = data.find(b"GCOL\x01")
    while start >= 0:
        place, end = start + 16, min(start + int.from_bytes(data[start + 8 : start + 16], "little"), len(data))
        # Less room than an object's head takes has none.
        while place + 16 <= end:
            number, length = struct.unpack_from("<H6xQ", data, place)
            if number == 0 and length == 0:
                raise ValueError("its texts do not end")
            place += 16 + -(-length // 8) * 8 if number else length
        start = data.find(b"GCOL\x01", start + 5)


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset that stands in its own file, as a file of this project holds it.

    Links, external storage and virtual datasets would read other files. A compressed or never written dataset may claim
    any size, and so may texts of which many are one and the same in the file.

    Raises:
        ValueError: when it is missing or of another kind.
    """
    # Looked at before it is opened: opening follows a link.
    found = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"it lacks the dataset {name!r}")
    if found.external or found.is_virtual:
        raise ValueError(f"the dataset {name!r} reads other files")
    size = group.file.id.get_filesize()
    # Its own product of sizes would overflow.
    if math.prod(found.shape) * found.dtype.itemsize > size:
        raise ValueError(f"the dataset {name!r} claims more bytes than the file has")
    if found.dtype.hasobject:
        if h5py.check_string_dtype(found.dtype) is None:
            raise ValueError(f"the dataset {name!r} holds neither numbers nor texts")
        if _text_bytes(found) > size:
            raise ValueError(f"the dataset {name!r} claims more text than the file has")
    return found


def _text_bytes(texts: h5py.Dataset) -> int:
    """Return how long all texts of variable length are together, without reading them.

    HDF5 stores for each a length in 4 bytes, the address of a heap in 8, and its place there in 4.
    """
    start = texts.id.get_offset()
    if start is None:
        if texts.size:
            raise ValueError(f"the dataset {texts.name!r} is not stored in one piece")
        return 0
    with Path(texts.file.filename).open("rb") as file:
        file.seek(start)
        return int(np.frombuffer(file.read(texts.nbytes), "<u4")[::4].sum(dtype=np.int64))
