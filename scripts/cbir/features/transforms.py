"""Methods made from other methods' features: a chain of steps for each part, and their results side by side.

All fitting is done on the train images alone.
"""

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.features.chains import chains
from cbir.features.steps import REGISTRY, Arrays
from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import arrays, attributes, group, opened, write_attributes

Matrix = NDArray[np.float32]

_ABOUT = ("method", "row", "parts", "fitted_on", "fingerprint")


@dataclass(frozen=True)
class Step:
    """A fitted step: its name in `cbir.features.steps`, and what its ``fit`` returned."""

    name: str
    arrays: Arrays

    def apply(self, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
        """Transform rows (n, d) to (n, c); ``is_gallery`` says whether they are what the step was fitted on."""
        transformed: NDArray[np.float64] = REGISTRY.get_entry(self.name).apply(self.arrays, rows, is_gallery)
        return transformed


@dataclass(frozen=True)
class Part:
    """What is done to the features of one part.

    Attributes:
        dimension: how many features it takes.
        steps: one after the other.
    """

    dimension: int
    steps: list[Step]


def fit(row: dict[str, Any], train: Sequence[Matrix]) -> list[Part]:
    """Fit a derived method on the train features of its parts.

    Args:
        row: the method's row of the configuration, see `chains`.
        train: (n, d) float32 for each part.

    Raises:
        InputError: when there is no such step, its options do not fit, or there are too few images or features.
    """
    return [_fit(chain, features.astype(np.float64)) for chain, features in zip(chains(row), train, strict=True)]


def _fit(chain: list[tuple[str, dict[str, Any]]], rows: NDArray[np.float64]) -> Part:
    dimension, fitted = rows.shape[1], list[Step]()
    for name, options in chain:
        # Of the last step nobody needs the result.
        if fitted:
            rows = fitted[-1].apply(rows, is_gallery=True)
        entry = REGISTRY.get_entry(name)
        try:
            inspect.signature(entry.fit).bind(rows, **options)
        except TypeError as error:
            raise InputError(f"config: the step {name} does not fit its options ({error}): correct them.") from None
        fitted.append(Step(name, entry.fit(rows, **options)))
    return Part(dimension, fitted)


def transform(fitted: Sequence[Part], parts: Sequence[Matrix], is_gallery: bool = False) -> Matrix:
    """Transform each part's rows and concatenate them, in the order of the parts, to (n, c) float32.

    Args:
        fitted: what `fit` returned.
        parts: (n, d) float32 for each part.
        is_gallery: whether these are the rows that it was fitted on.

    Raises:
        InputError: when the steps were fitted to features of other dimensions.
    """
    if [part.dimension for part in fitted] != [features.shape[1] for features in parts]:
        raise InputError(
            "A transform was fitted to other parts or to features of another dimension: run the workflow again."
        )
    transformed = []
    for part, features in zip(fitted, parts, strict=True):
        rows = features.astype(np.float64)
        for step in part.steps:
            rows = step.apply(rows, is_gallery)
        transformed.append(rows)
    return np.hstack(transformed).astype(np.float32)


def save(path: str | Path, fitted: Sequence[Part], about: dict[str, str]) -> None:
    """Write fitted parts as HDF5: a group a part, in it a group a step, which holds the step's arrays.

    ``about`` says, as texts by the names in `_ABOUT`, what they are.
    """
    steps = [step for part in fitted for step in part.steps]
    size = sum(array.nbytes for step in steps for array in step.arrays.values())
    size += HDF5_OVERHEAD * (1 + len(fitted) + len(steps))
    with atomic(path, size) as temporary, h5py.File(temporary, "w") as file:
        write_attributes(file, {**about, "steps_sha256": _sha256(fitted)})
        for number, part in enumerate(fitted):
            place = file.create_group(str(number))
            write_attributes(place, {"dimension": part.dimension})
            for order, step in enumerate(part.steps):
                inner = place.create_group(str(order))
                write_attributes(inner, {"step": step.name})
                for name, array in step.arrays.items():
                    inner[name] = array


def read(path: str | Path) -> tuple[list[Part], dict[str, str]]:
    """Read what `save` wrote.

    Raises:
        InputError: when the file is missing or damaged.
    """
    if not Path(path).is_file():
        raise InputError(f"The transform {path} does not exist: run the workflow first.")
    try:
        with opened(path) as file:
            fitted = [_part(group(file, str(number))) for number in range(len(file))]
            if attributes(file, ["steps_sha256"]) != {"steps_sha256": _sha256(fitted)}:
                raise ValueError("its checksum is of other steps")
            return fitted, {name: str(value) for name, value in attributes(file, _ABOUT).items()}
    # h5py raises many kinds on damaged files.
    except Exception as error:
        raise InputError(f"The transform {path} is damaged ({error}): remove it and run again.") from error


def _part(place: h5py.Group) -> Part:
    dimension = attributes(place, ["dimension"])["dimension"]
    steps = [group(place, str(number)) for number in range(len(place))]
    return Part(dimension, [Step(attributes(step, ["step"])["step"], arrays(step)) for step in steps])


def _sha256(fitted: Sequence[Part]) -> str:
    digest = hashlib.sha256()
    for part in fitted:
        digest.update(f"{part.dimension} {len(part.steps)}\n".encode())
        for step in part.steps:
            digest.update(f"{step.name} {len(step.arrays)}\n".encode())
            for name, array in sorted(step.arrays.items()):
                digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
