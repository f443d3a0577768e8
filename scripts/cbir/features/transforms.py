"""Methods made from other methods' features: normalise, project, combine. All fitting is done on train only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import attributes, dataset, group, opened, write_attributes

Matrix = NDArray[np.float32]

_ABOUT = ("method", "row", "parts", "fitted_on", "fingerprint")


@dataclass(frozen=True)
class Step:
    """One part's transformation of a row x: ``(x - offset) * scale``, then ``@ projection``, then unit length.

    Attributes:
        offset: scalar or (d,) float64.
        scale: scalar or (d,) float64.
        projection: (d, c) float64, or None to keep the features.
        unit_length: scale the result to length 1; a zero vector stays zero.
    """

    offset: NDArray[np.float64]
    scale: NDArray[np.float64]
    projection: NDArray[np.float64] | None = None
    unit_length: bool = False

    @property
    def dimension(self) -> int | None:
        """The length d of the rows that it takes; None where it takes any."""
        if self.projection is not None:
            return int(self.projection.shape[0])
        return next((len(part) for part in (self.offset, self.scale) if part.ndim), None)

    def apply(self, features: Matrix) -> NDArray[np.float64]:
        """Transform rows (n, d) to (n, c), float64."""
        rows = (features.astype(np.float64) - self.offset) * self.scale
        if self.projection is not None:
            rows = rows @ self.projection
        if self.unit_length:
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.where(lengths > 0, lengths, 1)
        return rows


def fit(row: dict[str, Any], train: Sequence[Matrix]) -> list[Step]:
    """Fit a derived method on the train features of its parts.

    Args:
        row: the method's row of the configuration, ``combine`` with ``normalise``, or ``transform`` of one method.
        train: (n, d) float32 for each part.

    Returns:
        A step for each part.

    Raises:
        InputError: when there are fewer images or features than principal components asked for.
    """
    kind = row["normalise"] if "combine" in row else row["transform"]
    if kind == "pca":
        return [_principal_components(features, row["dimension"], row["whiten"]) for features in train]
    return [_NORMALISERS[kind](features.astype(np.float64)) for features in train]


def transform(steps: Sequence[Step], parts: Sequence[Matrix]) -> Matrix:
    """Transform each part's rows and concatenate them, in the order of the parts, to (n, c) float32.

    Raises:
        InputError: when the steps were fitted to features of other dimensions.
    """
    if len(steps) != len(parts) or any(
        step.dimension not in (None, part.shape[1]) for step, part in zip(steps, parts, strict=True)
    ):
        raise InputError(
            "A transform was fitted to other parts or to features of another dimension: run the workflow again."
        )
    return np.hstack([step.apply(features) for step, features in zip(steps, parts, strict=True)]).astype(np.float32)


def _affine(low: NDArray[np.float64], width: NDArray[np.float64]) -> Step:
    # A constant feature has no width: it becomes 0 instead of a division by zero.
    return Step(np.asarray(low), 1 / np.where(width > 0, width, 1))


def _minmax(train: NDArray[np.float64]) -> Step:
    """Smallest value of the whole matrix to 0, largest to 1: the features keep their proportions."""
    return _affine(train.min(), np.asarray(np.ptp(train)))


def _minmax_per_feature(train: NDArray[np.float64]) -> Step:
    return _affine(train.min(axis=0), np.ptp(train, axis=0))


def _zscore(train: NDArray[np.float64]) -> Step:
    """Each feature to mean 0 and (population) standard deviation 1."""
    return _affine(train.mean(axis=0), train.std(axis=0))


def _l2(train: NDArray[np.float64]) -> Step:
    return Step(np.zeros(()), np.ones(()), unit_length=True)


_NORMALISERS = {"minmax": _minmax, "minmax-per-feature": _minmax_per_feature, "zscore": _zscore, "l2": _l2}


def _principal_components(train: Matrix, dimension: int, whiten: bool) -> Step:
    """Jolliffe, Principal Component Analysis, 2002; components by exact decomposition, so that nothing is random."""
    most = min(train.shape[0] - 1, train.shape[1])
    if dimension > most:
        raise InputError(
            f"config: a transform asks for {dimension} principal components, but {train.shape[0]} train images with "
            f"{train.shape[1]} features have at most {most}: lower its dimension."
        )
    # Here, so that whoever only applies a transform waits for no import.
    from sklearn.decomposition import PCA

    found = PCA(dimension, svd_solver="full").fit(train.astype(np.float64))
    projection = found.components_.T
    if whiten:
        deviation = np.sqrt(found.explained_variance_)
        # A direction without spread is noise of the arithmetic; it is not blown up.
        projection = projection / np.where(deviation > 1e-9 * deviation[0], deviation, np.inf)
    return Step(found.mean_, np.ones(()), projection)


def save(path: str | Path, steps: Sequence[Step], about: dict[str, str]) -> None:
    """Write fitted steps as HDF5, a group a part; ``about`` says, as texts by the names in `_ABOUT`, what they are."""
    arrays = [array for step in steps for array in (step.offset, step.scale, step.projection) if array is not None]
    size = sum(array.nbytes for array in arrays) + HDF5_OVERHEAD * (1 + len(steps))
    with atomic(path, size) as temporary, h5py.File(temporary, "w") as file:
        write_attributes(file, about)
        for number, step in enumerate(steps):
            part = file.create_group(str(number))
            part["offset"], part["scale"] = step.offset, step.scale
            write_attributes(part, {"unit_length": step.unit_length})
            if step.projection is not None:
                part["projection"] = step.projection


def read(path: str | Path) -> tuple[list[Step], dict[str, str]]:
    """Read what `save` wrote.

    Raises:
        InputError: when the file is missing or damaged.
    """
    if not Path(path).is_file():
        raise InputError(f"The transform {path} does not exist: run the workflow first.")
    try:
        with opened(path) as file:
            steps = [_step(group(file, str(number))) for number in range(len(file))]
            for step in steps:
                known = {len(part) for part in (step.offset, step.scale) if part.ndim}
                if len(known | ({step.dimension} - {None})) > 1:
                    raise ValueError("its parts are of different dimensions")
            return steps, {name: str(value) for name, value in attributes(file, _ABOUT).items()}
    # h5py raises many kinds on damaged files.
    except Exception as error:
        raise InputError(f"The transform {path} is damaged ({error}): remove it and run again.") from error


def _step(part: h5py.Group) -> Step:
    projected = part.get("projection", getlink=True) is not None
    return Step(
        _numbers(part, "offset", 0, 1),
        _numbers(part, "scale", 0, 1),
        _numbers(part, "projection", 2) if projected else None,
        bool(attributes(part, ["unit_length"])["unit_length"]),
    )


def _numbers(part: h5py.Group, name: str, *dimensions: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.asarray(dataset(part, name, np.float64, *dimensions)[()])
    if not np.isfinite(found).all():
        raise ValueError(f"its {name} is not finite")
    return found
