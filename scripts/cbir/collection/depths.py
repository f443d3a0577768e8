"""Scale images with more than 8 bits a sample to 8 bits, by the value that is white."""

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

# Bit depths of cameras, scanners and masks up to 16; sums of several images may have any depth above.
_DEPTHS = (1, 2, 4, 8, 10, 12, 14, *range(16, 31), 32)
_FULL = 65535
Whites = Mapping[int, Sequence[int]]
"""The values taken for white in files that do not state their range, by the bits of a sample in the file."""
# An image whose brightest value is below this, of 255, would look black.
_BLACK = 16
# Numbers of TIFF tags.
_BITS, _MIN, _MAX, _FORMAT, _SMIN, _SMAX = 258, 280, 281, 339, 340, 341
_SUBFILE, _SUBFILES, _DNG = 254, 330, 50706
# Pillow keeps the upper byte of a 16-bit sample. If it reads the file in the other byte order, it keeps the lower byte.
_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


class NoRangeError(ValueError):
    """The file does not state the range of its values, which could mean any brightness; the message says so."""


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
    """Return the largest value of the smallest usual bit depth that can hold a value, such as 255 (8) or 4095 (12)."""
    return 2 ** next(depth for depth in _DEPTHS if largest < 2**depth) - 1


def common_whites(largest: Iterable[int]) -> list[int]:
    """Return the values to take for white in files of one bit depth that do not state their range, largest first.

    The first white covers the values of all files. Files that would look black with it share a smaller white, and so
    on: files with values up to 255 do not come from the same camera as files with values up to 65535.

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
    """Return the largest white with which an image does not look black; if none covers its values, `smallest_white`.

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

    White is the value that the file states: ``SMaxSampleValue``, ``MaxSampleValue`` or ``BitsPerSample`` of a TIFF,
    ``sBIT`` of a PNG. If the file states none, or one with which the image would look black, `white_among` chooses
    white from ``whites``; without ``whites`` it is the image's own `smallest_white`.

    Args:
        image: a loaded Pillow image.
        data: the file.
        whites: those of the collection, see `cbir.collection.ranges`.

    Returns:
        The image, and its `Unstated` if the file does not state the range of its values, else None.

    Raises:
        NoRangeError: when pixels are floating-point numbers whose range the file does not state.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        # Pillow reads all 32-bit integers as signed.
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
    """Tell whether this is a 16-bit colour image, of which Pillow returns the upper 8 bits only."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    if isinstance(image, TiffImageFile):
        return set(image.tag_v2.get(_BITS, ())) == {16}
    return isinstance(image, PngImageFile) and data[24:25] == b"\x10"


def _sixteen_bits(image: Image.Image, data: bytes) -> NDArray[np.uint16]:
    """Return the 16-bit samples of an image of which Pillow has the upper bytes; read the file again for the lower."""
    upper = np.asarray(image).astype(np.uint16)
    with Image.open(io.BytesIO(data), formats=(image.format or "PNG",)) as again:
        if again.tile[0].args == "LA;16B":
            # Pillow cannot read this mode in the other byte order. Its two 16-bit samples are read as four of 8 bits.
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
    """Return the number in a TIFF tag, or the largest one of several; 0 if it has none."""
    try:
        return max(map(float, value)) if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0


def _significant_bits(data: bytes) -> int:
    """Return the largest number in the sBIT chunk of a PNG (PNG specification, 11.3.2.7); 0 if it has no such chunk."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"sBIT":
            return max(data[place + 8 : place + 8 + min(length, 4)], default=0)
        if kind in (b"IDAT", b"IEND"):
            return 0
        place += 12 + length
    return 0
