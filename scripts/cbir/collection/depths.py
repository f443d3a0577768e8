"""Values of more than 8 bits: which of them is white, and the image in 8 bits."""

import io
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

# Numbers of bits that cameras, scanners and masks have; sums of several images have any above.
_DEPTHS = (1, 2, 4, 8, 10, 12, 14, *range(16, 31), 32)
_FULL = 65535
Whites = Mapping[int, Sequence[int]]
"""Values that are taken for white in files that do not state their range, by the bits of a sample in the file."""
# The brightest of 255 of an image that a person would call black.
_BLACK = 16
_BITS, _MIN, _MAX, _FORMAT, _SMIN, _SMAX = 258, 280, 281, 339, 340, 341
_SUBFILE, _SUBFILES, _DNG = 254, 330, 50706
# Pillow keeps the upper byte of a sample of 16 bits. Read in the other byte order, it keeps the lower one.
_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


class NoRangeError(ValueError):
    """Values without a range, which could mean any brightness; the message is the reason."""


class Unstated(NamedTuple):
    """The values of an image whose file does not state their range.

    Attributes:
        bits: of a sample in the file: 16 or 32.
        largest: the largest value.
        white: the value shown as white.
    """

    bits: int
    largest: int
    white: int


def smallest_white(largest: int) -> int:
    """Return the largest value of the smallest usual number of bits that holds a value: 255 in 8 bits, 4095 in 12."""
    return 2 ** next(depth for depth in _DEPTHS if largest < 2**depth) - 1


def common_whites(largest: Iterable[int]) -> list[int]:
    """Return the values that are taken for white in files of one kind that do not state their range, largest first.

    The first one holds the values of all files. Files that it would make black have a smaller one in common, and so on:
    values of 8 bits are not those of the camera that gave its other files values of 16.

    Args:
        largest: the largest value of each file.
    """
    left = sorted(set(largest) - {0}, reverse=True)
    found = []
    while left:
        found.append(smallest_white(left[0]))
        left = [value for value in left if _is_black(value, found[-1])]
    return found


def white_among(largest: int, whites: Sequence[int]) -> int:
    """Return the largest white that does not make an image black; where none holds its values, its own smallest one.

    Args:
        largest: the image's largest value.
        whites: see `common_whites`.
    """
    own = smallest_white(largest)
    fitting = [white for white in whites if white >= own and not _is_black(largest, white)]
    return max(fitting, default=own)


def _is_black(largest: float, white: float) -> bool:
    return largest * 255 < _BLACK * white


def is_raw_photograph(image: Image.Image) -> bool:
    """Tell whether a TIFF is a camera's raw file (DNG, NEF, ARW, PEF), whose first image is only a thumbnail."""
    if not isinstance(image, TiffImageFile):
        return False
    return _DNG in image.tag_v2 or (_SUBFILES in image.tag_v2 and image.tag_v2.get(_SUBFILE, 0) == 1)


def to_eight_bits(image: Image.Image, data: bytes, whites: Whites | None = None) -> tuple[Image.Image, Unstated | None]:
    """Scale values of more than 8 bits to 8; return other images as they are.

    White is what the file states: ``SMaxSampleValue``, ``MaxSampleValue`` or ``BitsPerSample`` of a TIFF, ``sBIT`` of a
    PNG. Where it states nothing, or what would make the image black, white is the one of ``whites`` that `white_among`
    chooses, which is the image's own `smallest_white` without any.

    Args:
        image: a loaded Pillow image.
        data: the file.
        whites: those of the collection, see `cbir.collection.ranges`.

    Returns:
        The image, and its values where the file does not state their range.

    Raises:
        NoRangeError: when pixels are floating-point numbers whose range the file does not state.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        # Pillow takes all 32 bits for signed ones.
        if image.mode == "I" and isinstance(image, TiffImageFile) and _number(image.tag_v2.get(_FORMAT, 1)) == 1:
            values = values.view(np.uint32)
        scaled, unstated = _scaled(values, image, data, whites)
        made = Image.fromarray(scaled)
    elif _is_wide(image, data):
        upper = int(np.asarray(image)[..., :3].max(initial=0))
        if upper >= 64:
            return image, None if _declared(image, data) else Unstated(16, upper << 8 | 255, _FULL)
        values = _sixteen_bits(image, data)
        scaled, unstated = _scaled(values[..., :3], image, data, whites)
        if image.mode == "RGBA":
            alpha = values[..., 3:]
            narrow = alpha.max(initial=0) < 64 * 256
            opacity = _scaled(alpha, image, data, None)[0] if narrow else (alpha // 257).astype(np.uint8)
            scaled = np.concatenate([scaled, opacity], axis=-1)
        made = Image.fromarray(scaled, image.mode)
    else:
        return image, None
    made.info["exif"] = image.getexif().tobytes()
    return made, unstated


def _is_wide(image: Image.Image, data: bytes) -> bool:
    """Tell whether Pillow gives the upper 8 of 16 bits of a colour image."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    if isinstance(image, TiffImageFile):
        return set(image.tag_v2.get(_BITS, ())) == {16}
    return isinstance(image, PngImageFile) and data[24:25] == b"\x10"


def _sixteen_bits(image: Image.Image, data: bytes) -> NDArray[np.uint16]:
    """Return the samples of an image of which Pillow gives the upper bytes: read again, for the lower ones."""
    upper = np.asarray(image).astype(np.uint16)
    with Image.open(io.BytesIO(data), formats=(image.format or "PNG",)) as again:
        if again.tile[0].args == "LA;16B":
            # Pillow has no such mode in the other byte order. Its two samples are read as four of a byte each.
            again.tile = [tile._replace(args="RGBA") for tile in again.tile]
            both = np.asarray(again).astype(np.uint16)
            return (both[..., ::2] << 8 | both[..., 1::2])[..., [0, 0, 0, 1]].astype(np.uint16)
        again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
        lower = np.asarray(again).astype(np.uint16)
        return (upper << 8 | lower).astype(np.uint16)


def _swapped(args: Any) -> Any:
    if isinstance(args, str):
        return args[:-1] + _SWAPPED[args[-1]] if args.endswith(tuple(f";16{order}" for order in _SWAPPED)) else args
    return (_swapped(args[0]), *args[1:])


def _scaled(
    values: NDArray[Any], image: Image.Image, data: bytes, whites: Whites | None
) -> tuple[NDArray[np.uint8], Unstated | None]:
    most = float(values.max(initial=0))
    declared = [(low, high) for low, high in _declared(image, data) if low < high and high >= most]
    black, white = next(((low, high) for low, high in declared if not _is_black(most - low, high - low)), (0.0, 0.0))
    unstated = None
    if not white:
        if image.mode == "F":
            raise NoRangeError("floating-point values whose range the file does not state: save it with 8 or 16 bits")
        bits = 32 if values.dtype.itemsize > 2 else 16
        unstated = Unstated(bits, int(most), white_among(int(most), (whites or {}).get(bits, ())))
        black, white = 0, unstated.white
    if (black, white) == (0, _FULL):
        return np.clip(values // 257, 0, 255).astype(np.uint8), unstated
    if values.dtype == np.uint16:
        return _to_eight(np.arange(_FULL + 1, dtype=np.uint16), black, white)[values], unstated
    return _to_eight(values, black, white), unstated


def _to_eight(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    scaled = np.clip(values, black, white).astype(np.float32)
    scaled -= black
    scaled *= 255 / (white - black)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _declared(image: Image.Image, data: bytes) -> list[tuple[float, float]]:
    """Return the ranges of values that a file states, the most specific one first."""
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        pairs = ((_SMIN, _SMAX), (_MIN, _MAX))
        found = [(_number(tags.get(low, 0)), _number(tags[high])) for low, high in pairs if high in tags]
        bits = int(_number(tags.get(_BITS, 0)))
        return found + ([(0, 2.0**bits - 1)] if 8 < bits < 16 else [])
    depth = _significant_bits(data) if isinstance(image, PngImageFile) else 0
    return [(0, 2.0**depth - 1)] if depth else []


def _number(value: Any) -> float:
    """Return a tag's number, of several the largest."""
    try:
        return max(map(float, value)) if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0


def _significant_bits(data: bytes) -> int:
    """Return the largest number of a PNG's chunk sBIT (PNG specification, 11.3.2.7); 0 if it has no such chunk."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"sBIT":
            return max(data[place + 8 : place + 8 + min(length, 4)], default=0)
        if kind in (b"IDAT", b"IEND"):
            return 0
        place += 12 + length
    return 0
