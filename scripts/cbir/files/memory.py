"""HDF5 files of arrays that a run leaves for the next one, which then computes only what changed.

A run without such a file, or with a damaged one, computes everything and has the same results.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import attributes, dataset, opened, texts, write_attributes, write_texts

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Form:
    """What a file holds.

    Attributes:
        arrays: the dtype and the number of dimensions of each array; ``"S"`` for texts (n,), which are Python strings
            in memory.
        is_possible: tells whether the arrays fit together, whoever wrote them.
    """

    arrays: Mapping[str, tuple[DTypeLike, int]]
    is_possible: Callable[[Arrays], bool]


def write(path: Path, made_by: str, arrays: Arrays) -> None:
    """Replace a file.

    Args:
        path: the file.
        made_by: everything that decides the arrays but the images: settings, code and versions of libraries.
        arrays: numbers, or texts (n,) of the dtype object.

    Raises:
        InputError: when it cannot be written.
    """
    # A text takes as many bytes as the longest one.
    size = sum(
        array.nbytes if array.dtype != object else len(array) * max((len(text.encode()) for text in array), default=0)
        for array in arrays.values()
    )
    with atomic(path, size + HDF5_OVERHEAD) as temporary, h5py.File(temporary, "w") as file:
        for name, array in arrays.items():
            if array.dtype == object:
                write_texts(file, name, list(array))
            else:
                file.create_dataset(name, data=array)
        write_attributes(file, {"made_by": made_by, "content": _content(arrays)})


def read(path: Path, form: Form) -> tuple[str, Arrays]:
    """Return what made a file, and its arrays.

    Raises:
        InputError: when it is missing or damaged.
    """
    try:
        with opened(path) as file:
            about = attributes(file, ["made_by", "content"])
            found = {name: dataset(file, name, kind, dimensions) for name, (kind, dimensions) in form.arrays.items()}
            arrays = {name: texts(array) if form.arrays[name][0] == "S" else array[()] for name, array in found.items()}
        if _content(arrays) != about["content"]:
            raise ValueError("its values are not those it was written with")
        if not form.is_possible(arrays):
            raise ValueError("its values are not possible")
        return str(about["made_by"]), arrays
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"{path} is damaged ({error}): remove it and run again.") from error


def recall(path: Path, made_by: str, form: Form) -> Arrays | None:
    """Return the arrays of a file; None if it is missing, damaged or was made in another way."""
    try:
        made, arrays = read(path, form)
    except InputError:
        return None
    return arrays if made == made_by else None


def _content(arrays: Arrays) -> str:
    """Return a hash of all values, by which a damaged file is noticed."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.shape)).encode())
        digest.update("\n".join(array).encode() if array.dtype == object else np.ascontiguousarray(array).data)
    return digest.hexdigest()
