"""Decide which value is white in image files that do not state the range of their values.

If each were scaled by its own values, a dark and a bright photograph of one microscope would look alike. Therefore all
such files of a collection share a range, see `cbir.collection.depths.common_whites`.
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
"""A column of tables of images: the value that is white in the image, or 0 if the image's own file decides.

A table has the column only if one of its images needs it, so that the tables of other collections do not change.
"""
_FULL = 65535
_LARGEST = 2**32 - 1


class Ranges(NamedTuple):
    """The ranges of a collection.

    Attributes:
        whites: the values taken for white, largest first, by the bits of a sample in the file (16 or 32).
        images: by SHA-256, the white of each image whose own values would suggest another one.
    """

    whites: dict[int, list[int]]
    images: dict[str, int]


def find(unstated: Mapping[str, Sequence[int] | None]) -> Ranges:
    """Return the ranges of a collection.

    Args:
        unstated: by SHA-256, the bits of a sample and the largest value of each image whose file does not state its
            range; None for other images.
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
    """Return a note about an image whose file does not state its range; empty if it uses all 16 bits of the file.

    Args:
        bits: of a sample in the file.
        largest: the largest value of the image.
        white: see `Ranges.images`; 0 if the image's own values decide.
    """
    own = smallest_white(largest)
    if largest == 0 or (bits, own) == (16, _FULL):
        return ""
    return f"values of {own.bit_length()} bits in a file of {bits} bits that does not state its range: " + (
        f"{white} is taken for white, as in other such files" if white else f"{own} is taken for white"
    )


def of_one(white: int) -> Whites:
    """Return the whites with which `images.decode` uses the white that a table has for an image."""
    return {16: [white], 32: [white]} if white else {}


def white_of(data: bytes, whites: Whites) -> int:
    """Return the white of an image from outside the collection, as in `Ranges.images`; 0 if its own values decide.

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
    """Return the column ``WHITE`` of a table; zeros if the table has no such column.

    Raises:
        InputError: when the column holds other than whole numbers from 0 to 2^32 - 1.
    """
    if WHITE not in table.columns:
        return [0] * len(table)
    column = table[WHITE]
    if column.dtype.kind not in "iu" or not column.between(0, _LARGEST).all():
        raise InputError("A table of images holds something else than whole numbers as 'white': run again.")
    return [int(white) for white in column]


def as_data(ranges: Ranges) -> dict[str, Any]:
    """Return ranges as the JSON object that `read` reads."""
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
