"""Which value is white in image files that do not state the range of their values, decided over the whole collection.

Scaled each by its own values, a dark and a bright photograph of one microscope would look alike. Therefore all such
files of a collection share a range, see `cbir.collection.depths.common_whites`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cbir.collection import images
from cbir.collection.depths import Unstated, Whites, common_whites, smallest_white, white_among
from cbir.files.errors import InputError
from cbir.files.tables import read_json

WHITE = "white"
"""A column of tables that list image files: the value shown as white, 0 where the file itself decides it.

A table has it only if it lists an image whose white is another one, so that other collections keep their tables.
"""
_FULL = 65535
_LARGEST = 2**32 - 1


class Ranges(NamedTuple):
    """The ranges of a collection.

    Attributes:
        whites: by the bits of a sample in the file (16 or 32), the values that are taken for white, largest first.
        images: by SHA-256, the white of each image for which that is not the one that its own values suggest.
    """

    whites: dict[int, list[int]]
    images: dict[str, int]


def find(unstated: Mapping[str, Sequence[int] | None]) -> Ranges:
    """Return the ranges of a collection.

    Args:
        unstated: by SHA-256, of each image that does not state its range: the bits of a sample in its file, and its
            largest value; None for other images.
    """
    values = {digest: (found[0], found[1]) for digest, found in sorted(unstated.items()) if found}
    kinds = sorted({bits for bits, _ in values.values()})
    whites = {kind: common_whites(most for bits, most in values.values() if bits == kind) for kind in kinds}
    chosen = {digest: white_among(most, whites[bits]) for digest, (bits, most) in values.items()}
    return Ranges(
        {kind: found for kind, found in whites.items() if found},
        {digest: white for digest, white in chosen.items() if white != smallest_white(values[digest][1])},
    )


def note(bits: int, largest: int, white: int) -> str:
    """Return a sentence for an image that does not state its range; empty where it uses all 16 bits of its file.

    Args:
        bits: of a sample in the file.
        largest: the largest value.
        white: see `Ranges.images`; 0 for the one that the image's own values suggest.
    """
    own = smallest_white(largest)
    if largest == 0 or (bits, own) == (16, _FULL):
        return ""
    return f"values of {own.bit_length()} bits in a file of {bits} bits that does not state its range: " + (
        f"{white} is taken for white, as in other such files" if white else f"{own} is taken for white"
    )


def of_one(white: int) -> Whites:
    """Return how to read an image by the white that a table gives for it."""
    return {16: [white], 32: [white]} if white else {}


def white_of(data: bytes, whites: Whites) -> int:
    """Return the white of an image from outside the collection, as in `Ranges.images`; 0 where its own values decide.

    Raises:
        ImageError: when it cannot be decoded, see `images.decode`.
    """
    unstated: Unstated | None = images.decode(data, whites=whites).info["unstated"]
    return unstated.white if unstated and unstated.white != smallest_white(unstated.largest) else 0


def with_whites(table: pd.DataFrame, whites: Mapping[str, int]) -> pd.DataFrame:
    """Add the column ``WHITE`` to a table with the column sha256 if one of its images needs it."""
    found = [whites.get(digest, 0) for digest in table["sha256"]]
    return table.assign(**{WHITE: found}) if any(found) else table


def whites_of(table: pd.DataFrame) -> list[int]:
    """Return the column ``WHITE`` of a table; zeros where there is none.

    Raises:
        InputError: when it holds something else than such values.
    """
    if WHITE not in table.columns:
        return [0] * len(table)
    column = table[WHITE]
    if column.dtype.kind not in "iu" or not column.between(0, _LARGEST).all():
        raise InputError("A table of images holds something else than whole numbers as 'white': run again.")
    return [int(white) for white in column]


def as_data(ranges: Ranges) -> dict[str, Any]:
    """Return ranges as `read` takes them from a JSON file."""
    return {"whites": {str(bits): found for bits, found in ranges.whites.items()}, "images": ranges.images}


def read(path: str | Path) -> Ranges:
    """Read the ranges of a collection from a JSON file.

    Raises:
        InputError: when it is missing or damaged.
    """
    data = read_json(path, {"whites": dict, "images": dict})
    whites, chosen = data["whites"], data["images"]
    numbers = [value for found in whites.values() for value in (found if isinstance(found, list) else [None])]
    if set(whites) - {"16", "32"} or not all(
        type(value) is int and 0 < value <= _LARGEST for value in (*numbers, *chosen.values())
    ):
        raise InputError(f"{path} holds something else than ranges of values: remove it and run again.")
    return Ranges({int(bits): found for bits, found in whites.items()}, chosen)
