"""A safe subset of HDF5: numbers and strings of fixed length, stored contiguously in the file itself.

Other features of HDF5 could make a crafted file fill the memory or read other files: compression, strings of variable
length, links, and external data. Therefore the readers check the type and the storage of each dataset or attribute
before they read it, and accept only what the writers of this module write. They never read more bytes than the file
has.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5s, h5t
from numpy.typing import DTypeLike, NDArray

_MOST_ATTRIBUTE_BYTES = 65_536
"""The largest attribute that HDF5 stores in the header of its object."""


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[h5py.File]:
    """Open a file, or the bytes of one, for reading.

    Raises:
        ValueError: when it is not a regular file.
        OSError: when it is not an HDF5 file.
    """
    # Opening a pipe would wait for a writer.
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise ValueError("it is no file")
    with h5py.File(BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
        yield file


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group of the same file, not one behind a link.

    Raises:
        ValueError: when it is missing or not a group.
    """
    found = _linked(parent, name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"it lacks the group {name!r}")
    return found


def dataset(parent: h5py.Group, name: str, wanted: DTypeLike, *dimensions: int) -> h5py.Dataset:
    """Return a dataset that is stored contiguously in the same file, without reading its values.

    Args:
        parent: the file or group that contains it.
        name: its name in the parent.
        wanted: the expected dtype; ``"S"`` accepts strings of any fixed length.
        dimensions: the accepted numbers of dimensions.

    Raises:
        ValueError: when it is missing, of another type or number of dimensions, or stored in another way.
    """
    found = _linked(parent, name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"it lacks the dataset {name!r}")
    layout = found.id.get_create_plist()
    if layout.get_layout() != h5d.CONTIGUOUS or layout.get_nfilters() or layout.get_external_count():
        raise ValueError(f"the dataset {name!r} is not stored in one piece in this file")
    wanted = np.dtype(wanted)
    if not (_is_text(found.id.get_type()) if wanted.kind == "S" else _is_number(found.id.get_type(), wanted)):
        raise ValueError(f"the dataset {name!r} holds something else than {_in_words(wanted)}")
    if found.ndim not in dimensions:
        raise ValueError(f"the dataset {name!r} has {found.ndim} dimensions")
    # `math.prod` of Python integers cannot overflow. A dataset that was never written has no offset.
    size = math.prod(found.shape) * found.id.get_type().get_size()
    if size and (found.id.get_offset() is None or found.id.get_offset() + size > found.file.id.get_filesize()):
        raise ValueError(f"the dataset {name!r} claims more bytes than the file has")
    return found


def dtype(parent: h5py.Group, name: str) -> np.dtype[Any] | None:
    """Return the dtype of a dataset of the same file; None if there is no such dataset."""
    found = _linked(parent, name)
    return found.dtype if isinstance(found, h5py.Dataset) else None


def arrays(parent: h5py.Group) -> dict[str, NDArray[Any]]:
    """Read all datasets of a group, which must be numbers of at most two dimensions.

    Raises:
        ValueError: when the group contains anything else.
    """
    found = {}
    for name in parent:
        linked = _linked(parent, name)
        plain = isinstance(linked, h5py.Dataset) and linked.dtype.kind in "fiu"
        found[name] = np.asarray(dataset(parent, name, linked.dtype if plain else np.float64, 0, 1, 2)[()])
    return found


def texts(found: h5py.Dataset) -> NDArray[np.object_]:
    """Read the strings of a dataset as Python strings (n,)."""
    return np.array([text.decode() for text in found[()].tolist()], object)


def attributes(parent: h5py.Group, names: Iterable[str]) -> dict[str, Any]:
    """Read those of the named attributes that exist; each must be a string or a number.

    Raises:
        ValueError: when one of them is anything else.
    """
    return {name: _attribute(parent, name) for name in names if h5a.exists(parent.id, name.encode())}


def _attribute(parent: h5py.Group, name: str) -> str | int | float:
    found = h5a.open(parent.id, name.encode())
    kind = found.get_type()
    plain = _is_text(kind) or isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID)
    if not plain or found.get_space().get_simple_extent_type() != h5s.SCALAR:
        raise ValueError(f"the attribute {name!r} is neither a text of fixed length nor a number")
    if kind.get_size() > _MOST_ATTRIBUTE_BYTES:
        raise ValueError(f"the attribute {name!r} is longer than {_MOST_ATTRIBUTE_BYTES:,} bytes")
    value = np.empty((), found.dtype)
    found.read(value)
    plain_value = value.item()
    return plain_value.decode() if isinstance(plain_value, bytes) else plain_value


def listed(parent: h5py.Group, name: str) -> list[str]:
    """Read an attribute that is a list of strings; return an empty list if it is missing.

    Keras splits a long list into several attributes NAME0, NAME1, ...

    Raises:
        ValueError: when the attribute is anything else.
    """
    found: list[str] = []
    pieces = [name] if h5a.exists(parent.id, name.encode()) else [f"{name}{i}" for i in range(len(parent.attrs))]
    for piece in pieces:
        if not h5a.exists(parent.id, piece.encode()):
            break
        attribute = h5a.open(parent.id, piece.encode())
        values = np.empty(attribute.shape, attribute.dtype)
        if values.size and (not _is_text(attribute.get_type()) or attribute.get_storage_size() > _MOST_ATTRIBUTE_BYTES):
            raise ValueError(f"the attribute {piece!r} is no list of texts of fixed length")
        if values.size:
            attribute.read(values)
            found += [text.decode() for text in values.ravel().tolist()]
    return found


def write_texts(parent: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Write strings (n,) as UTF-8 of the length of the longest one, padded with zero bytes."""
    data = [value.encode() for value in values]
    kind = h5py.string_dtype("utf-8", max(map(len, data), default=0) or 1)
    parent.create_dataset(name, data=np.array(data, kind))


def write_attributes(parent: h5py.Group, values: dict[str, Any]) -> None:
    """Write attributes that `attributes` reads: strings as UTF-8 of fixed length, numbers, and booleans as 0 or 1."""
    for name, value in values.items():
        if isinstance(value, str):
            data = value.encode()
            parent.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", len(data) or 1))
        else:
            parent.attrs[name] = int(value) if isinstance(value, bool) else value


def _linked(parent: h5py.Group, name: str) -> Any:
    """Return the group or dataset with a name, None if it is missing or behind a link."""
    return parent[name] if isinstance(parent.get(name, getlink=True), h5py.HardLink) else None


def _is_text(kind: h5t.TypeID) -> bool:
    return isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()


def _is_number(kind: h5t.TypeID, wanted: np.dtype[Any]) -> bool:
    return isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID) and kind.dtype == wanted


def _in_words(dtype: np.dtype[Any]) -> str:
    return "texts of fixed length" if dtype.kind == "S" else f"numbers of the type {dtype}"
