"""Derived methods: a chain of steps for each part, the concatenation of the results, and a chain for the whole.

A part is a method whose features a derived method uses. Steps are fitted on the train images alone.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.features.blocks import mapped, spans
from cbir.features.chains import Chain, Written, chains, name_of, options_of
from cbir.features.steps import REGISTRY, Arrays
from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json
from cbir.files.hdf5 import arrays, attributes, group, opened, write_attributes

Matrix = NDArray[np.float32]

_ABOUT = ("method", "row", "parts", "fitted_on", "chosen", "fingerprint")

# The HDF5 group of the steps that follow the concatenation. The groups of the parts are numbered.
_WHOLE = "whole"


@dataclass(frozen=True)
class Step:
    """A fitted step: its name in `cbir.features.steps`, and the arrays that its ``fit`` returned."""

    name: str
    arrays: Arrays

    def apply(self, rows: NDArray[np.float64], is_gallery: bool) -> NDArray[np.float64]:
        """Transform rows (n, d) to (n, c); ``is_gallery`` says whether the step was fitted on these rows."""
        return mapped(len(rows), lambda block: self.apply_block(rows[block], is_gallery, block, len(rows)))

    def apply_block(self, rows: NDArray[np.float64], is_gallery: bool, block: slice, count: int) -> NDArray[np.float64]:
        """Transform the rows of a block of ``count`` rows."""
        entry, arrays = REGISTRY.get_entry(self.name), self.arrays
        if is_gallery and len(rows) < count:
            own = getattr(entry, "OF_GALLERY", ())
            arrays = {name: values[block] if name in own else values for name, values in arrays.items()}
        transformed: NDArray[np.float64] = entry.apply(arrays, rows, is_gallery)
        return transformed


@dataclass(frozen=True)
class Part:
    """The fitted steps of one part.

    Attributes:
        dimension: length of the part's feature vectors.
        steps: in the order in which they are applied.
    """

    dimension: int
    steps: list[Step]


@dataclass(frozen=True)
class Transform:
    """A fitted derived method.

    Attributes:
        parts: the steps of each part, applied before the concatenation.
        whole: the steps applied to the concatenated features.
    """

    parts: list[Part]
    whole: list[Step]


def fit(row: dict[str, Any], train: Sequence[Matrix]) -> Transform:
    """Fit a derived method on the train features of its parts.

    Args:
        row: the method's row of the configuration, see `chains`.
        train: (n, d) float32 for each part.

    Raises:
        InputError: when a step does not exist or does not take its options, or there are too few images or features.
    """
    asked = chains(row)
    parts = fit_parts(asked.parts, train)
    return Transform(parts, _fit(asked.whole, side_by_side(parts, train, is_gallery=True)) if asked.whole else [])


def fit_parts(asked: Sequence[Chain], train: Sequence[Matrix]) -> list[Part]:
    """Fit a chain of steps for each part; ``train`` and errors as in `fit`."""
    return [
        Part(features.shape[1], _fit(chain, _double(features)) if chain else [])
        for chain, features in zip(asked, train, strict=True)
    ]


def _double(features: Matrix) -> NDArray[np.float64]:
    return mapped(len(features), lambda block: features[block].astype(np.float64))


def _fit(chain: Chain, rows: NDArray[np.float64]) -> list[Step]:
    fitted = list[Step]()
    for step in chain:
        # A step is applied only if another step follows that needs its result.
        if fitted:
            rows = fitted[-1].apply(rows, is_gallery=True)
        fitted.append(fit_step(step, rows))
    return fitted


def fit_step(step: Written, rows: NDArray[np.float64]) -> Step:
    """Fit one step to the rows (n, d) of the gallery.

    Args:
        step: as the configuration writes it; options that it does not set have their defaults.
        rows: float64.

    Raises:
        InputError: as for `fit`.
    """
    name = name_of(step)
    entry = REGISTRY.get_entry(name)
    signature = inspect.signature(entry.fit)
    # A step without OPTIONS has the options, and the defaults, of the signature of its `fit`.
    stated = getattr(entry, "OPTIONS", None)
    if stated is None:
        stated = {item.name: {} for item in signature.parameters.values() if item.kind == item.KEYWORD_ONLY}
    options = options_of(step, stated)
    try:
        signature.bind(rows, **options)
    except TypeError as error:
        raise InputError(f"config: the step {name} does not fit its options ({error}): correct them.") from None
    return Step(name, entry.fit(rows, **options))


def transform(fitted: Transform, parts: Sequence[Matrix], is_gallery: bool = False) -> Matrix:
    """Transform the rows of each part, concatenate them in the order of the parts, and transform the result.

    Args:
        fitted: what `fit` returned.
        parts: (n, d) float32 for each part.
        is_gallery: whether the transform was fitted on these rows.

    Returns:
        float32 (n, c).

    Raises:
        InputError: when the steps were fitted on features of other dimensions, or on another number of gallery rows.
    """
    return np.concatenate(list(transformed(fitted, parts, is_gallery)))


def transformed(fitted: Transform, parts: Sequence[Matrix], is_gallery: bool = False) -> Iterator[Matrix]:
    """Yield what `transform` returns, block by block of rows, one at least; arguments and errors as there."""
    if [part.dimension for part in fitted.parts] != [features.shape[1] for features in parts]:
        raise InputError(
            "A transform was fitted to other parts or to features of another dimension: run the workflow again."
        )
    count = len(parts[0])
    if is_gallery:
        _require_gallery(fitted, count)
    for block in spans(count) if count else [slice(0, 0)]:
        rows = _side_by_side(fitted.parts, parts, is_gallery, block)
        yield _apply(fitted.whole, rows, is_gallery, block, count).astype(np.float32)


def _require_gallery(fitted: Transform, count: int) -> None:
    for step in [step for part in fitted.parts for step in part.steps] + fitted.whole:
        for name in getattr(REGISTRY.get_entry(step.name), "OF_GALLERY", ()):
            if len(step.arrays[name]) != count:
                raise InputError(
                    f"The step {step.name} was fitted on {len(step.arrays[name])} gallery images, not {count}: run the "
                    "workflow again."
                )


def side_by_side(fitted: Sequence[Part], parts: Sequence[Matrix], is_gallery: bool) -> NDArray[np.float64]:
    """Transform the rows of each part and concatenate them to (n, c) float64; arguments as in `transform`."""
    return mapped(len(parts[0]), lambda block: _side_by_side(fitted, parts, is_gallery, block))


def _side_by_side(
    fitted: Sequence[Part], parts: Sequence[Matrix], is_gallery: bool, block: slice
) -> NDArray[np.float64]:
    return np.hstack(
        [
            _apply(part.steps, features[block].astype(np.float64), is_gallery, block, len(features))
            for part, features in zip(fitted, parts, strict=True)
        ]
    )


def _apply(
    steps: Sequence[Step], rows: NDArray[np.float64], is_gallery: bool, block: slice, count: int
) -> NDArray[np.float64]:
    for step in steps:
        rows = step.apply_block(rows, is_gallery, block, count)
    return rows


def about(
    method: str, row: dict[str, Any], parts: Sequence[Mapping[str, Any]], chosen: dict[str, Any] | None = None
) -> dict[str, str]:
    """Return the attributes that `save` writes for a fitted method.

    Args:
        method: its name.
        row: its row of the configuration.
        parts: the attributes of the train feature store of each part.
        chosen: if values were chosen on val, a dictionary with: ``row``, the row with the chosen values; ``monitor``,
            the metric; ``tried``, the ``steps`` and the ``value`` of each choice; ``best``, the position of the chosen
            one in ``tried``; ``val``, the ``features_sha256`` of each part's val store.
    """
    fitted_on = [part["features_sha256"] for part in parts]
    made = {
        "method": method,
        "row": json.dumps(row, sort_keys=True, ensure_ascii=False),
        "parts": json.dumps([part["method"] for part in parts]),
        "fitted_on": json.dumps(fitted_on),
        "fingerprint": fingerprint(row, fitted_on, chosen),
    }
    return made if chosen is None else made | {"chosen": json.dumps(chosen, sort_keys=True, ensure_ascii=False)}


def fingerprint(row: dict[str, Any], fitted_on: list[str], chosen: dict[str, Any] | None) -> str:
    """Return the hash that identifies a fitted method.

    Args:
        row: its row of the configuration.
        fitted_on: the ``features_sha256`` of the train store of each part.
        chosen: as in `about`.
    """
    return sha256_json([row, fitted_on] if chosen is None else [row, fitted_on, chosen])


def save(path: str | Path, fitted: Transform, about: dict[str, str]) -> None:
    """Write a fitted method as HDF5: a group per part and one for the whole, each with a group of arrays per step.

    Args:
        path: the file.
        fitted: the fitted steps.
        about: the attributes of the file, see `about`.
    """
    steps = [step for part in fitted.parts for step in part.steps] + fitted.whole
    size = sum(array.nbytes for step in steps for array in step.arrays.values())
    size += sum(map(len, about.values())) + HDF5_OVERHEAD * (1 + len(fitted.parts) + len(steps))
    with atomic(path, size) as temporary, h5py.File(temporary, "w") as file:
        write_attributes(file, {**about, "steps_sha256": _sha256(fitted)})
        for number, part in enumerate(fitted.parts):
            place = file.create_group(str(number))
            write_attributes(place, {"dimension": part.dimension})
            _write(place, part.steps)
        if fitted.whole:
            _write(file.create_group(_WHOLE), fitted.whole)


def _write(place: h5py.Group, steps: Sequence[Step]) -> None:
    for order, step in enumerate(steps):
        inner = place.create_group(str(order))
        write_attributes(inner, {"step": step.name})
        for name, array in step.arrays.items():
            inner[name] = array


def read(path: str | Path) -> tuple[Transform, dict[str, str]]:
    """Read a fitted method and its attributes.

    Raises:
        InputError: when the file is missing or damaged.
    """
    if not Path(path).is_file():
        raise InputError(f"The transform {path} does not exist: run the workflow first.")
    try:
        with opened(path) as file:
            parts = [_part(group(file, str(number))) for number in range(len(file) - (_WHOLE in file))]
            fitted = Transform(parts, _steps(group(file, _WHOLE)) if _WHOLE in file else [])
            if attributes(file, ["steps_sha256"]) != {"steps_sha256": _sha256(fitted)}:
                raise ValueError("its checksum is of other steps")
            return fitted, {name: str(value) for name, value in attributes(file, _ABOUT).items()}
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"The transform {path} is damaged ({error}): remove it and run again.") from error


def _part(place: h5py.Group) -> Part:
    return Part(attributes(place, ["dimension"])["dimension"], _steps(place))


def _steps(place: h5py.Group) -> list[Step]:
    steps = [group(place, str(number)) for number in range(len(place))]
    return [Step(attributes(step, ["step"])["step"], arrays(step)) for step in steps]


def _sha256(fitted: Transform) -> str:
    digest = hashlib.sha256()
    for part in fitted.parts:
        _update(digest, part.dimension, part.steps)
    if fitted.whole:
        _update(digest, _WHOLE, fitted.whole)
    return digest.hexdigest()


def _update(digest: Any, title: int | str, steps: Sequence[Step]) -> None:
    digest.update(f"{title} {len(steps)}\n".encode())
    for step in steps:
        digest.update(f"{step.name} {len(step.arrays)}\n".encode())
        for name, array in sorted(step.arrays.items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
