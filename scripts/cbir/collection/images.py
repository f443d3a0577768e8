"""Decode image files of all supported formats, colour modes and bit depths to 8-bit RGB."""

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import STRIPOFFSETS, TILEOFFSETS, TiffImageFile

from cbir.collection import depths, jpeg
from cbir.collection.depths import Whites
from cbir.collection.formats import format_of
from cbir.files.errors import InputError

Crop = Literal["squash", "centre"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
"""The formats that Pillow reads itself; HEIC, which Pillow calls HEIF, is read by pillow-heif."""
MAX_PIXELS = 100_000_000
MAX_BYTES = 500_000_000

# All threads together decode at most this many pixels at a time. A pixel takes up to 22 bytes, in a transparent image.
_ROOM_PIXELS = 150_000_000
# The most pixels times scans of a JPEG: each scan of a progressive one is a pass over all pixels. Photographs have
# about ten scans.
_MAX_SCANNED = 30 * MAX_PIXELS

# Pillow allocates in blocks of 256 MiB, because the allocator returns only large blocks to the system; smaller ones
# stay reserved for each thread.
Image.core.set_block_size(2**28)
# The size is checked below before anything is decoded. Pillow's other warnings do no harm or precede an error.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(InputError):
    """An image file cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class ImageInfo:
    """Width and height in pixels, after EXIF orientation."""

    width: int
    height: int


def read_bytes(path: str | Path) -> bytes:
    """Read a regular file of at most ``MAX_BYTES``.

    Raises:
        ImageError: when it is missing, empty, too large, unreadable, or not a regular file.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ImageError("not a regular file" if path.exists() else "does not exist")
        size = path.stat().st_size
        if size == 0:
            raise ImageError("empty file")
        if size > MAX_BYTES:
            raise ImageError(f"file of {size:,} bytes, more than the {MAX_BYTES:,} allowed")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"unreadable ({error.strerror})") from error


def decode(
    data: bytes, size: tuple[int, int] | None = None, crop: Crop = "squash", whites: Whites | None = None
) -> Image.Image:
    """Decode the first frame of an image to 8-bit RGB and apply its EXIF orientation.

    Values of more than 8 bits are scaled by the range that the file states, see `cbir.collection.depths`. A transparent
    image is composited onto white, or onto black if it would have no contrast on white. A JPEG whose last bytes are
    missing is completed if only its last rows are incomplete.

    Args:
        data: the bytes of a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF or JPEG 2000 file.
        size: (width, height) to which the image is resized, bilinear with antialiasing; libjpeg decodes a large JPEG at
            a reduced scale that is not smaller. None keeps the image's own size.
        crop: how the image is fitted to ``size``: ``squash`` resizes the whole image and changes its proportions;
            ``centre`` keeps them and takes the largest part around the middle that has the proportions of ``size``.
        whites: the values taken for white in files that do not state their range, see `cbir.collection.ranges`;
            without it each image's own values decide.

    Returns:
        A Pillow image of mode RGB. Its ``info["notes"]`` lists in sentences how the pixels differ from the file's;
        ``info["unstated"]`` is the `depths.Unstated` of a file that does not state the range of its values, else None.

    Raises:
        ImageError: when the data is not such an image, is truncated or damaged, or has over ``MAX_PIXELS`` pixels.
    """
    kind = format_of(data)
    if kind == "HEIC":
        _read_heif()
    try:
        try:
            return _decode(data, size, crop, [], whites)
        except OSError:
            if kind != "JPEG" or jpeg.count_scans(data)[1] >= 0:
                raise
            # A last byte 0xFF is half of a marker or half of an escaped byte.
            begun = data.rstrip(b"\xff")
            notes = [f"lacks its last bytes: {_rows_missing(begun)} of its rows may be incomplete"]
            return _decode(begun + jpeg.END, size, crop, notes, whites)
    except ImageError:
        raise
    except depths.NoRangeError as error:
        raise ImageError(str(error)) from None
    except Image.UnidentifiedImageError:
        if kind in _READ:
            raise ImageError(f"damaged or truncated {kind}") from None
        raise ImageError(f"not an image in a supported format{f' ({kind})' if kind else ''}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than the {MAX_PIXELS:,} pixels allowed") from None
    # Decoders raise many types of exceptions for damaged data (OSError, SyntaxError, struct.error, ...).
    except Exception as error:
        what = f"{kind}: " if kind in _READ else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"damaged or truncated ({what}{reason})") from error


# Errors of these formats get the name of the format in front; Pillow's errors of the other formats contain it already.
_READ = ("HEIC", "AVIF", "JPEG 2000")


def _read_heif() -> None:
    """Let Pillow read HEIC. Called for HEIC only, because the import takes a tenth of a second."""
    try:
        import pillow_heif
    except ImportError:
        raise ImageError("HEIC, which the package pillow-heif reads: install the packages of the lock again") from None
    pillow_heif.register_heif_opener(thumbnails=False)


def _decode(
    data: bytes, size: tuple[int, int] | None, crop: Crop, notes: list[str], whites: Whites | None = None
) -> Image.Image:
    stream = io.BytesIO(data)
    with Image.open(stream, formats=("HEIF",) if format_of(data) == "HEIC" else FORMATS) as image:
        pixels = image.width * image.height
        if pixels > MAX_PIXELS:
            raise ImageError(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS:,} allowed")
        if depths.is_raw_photograph(image):
            raise ImageError("a camera's raw file, of which only a thumbnail could be read: export it as JPEG or TIFF")
        _refuse_many_scans(image, data, stream.tell())
        if size is not None:
            image.draft("RGB", size)
        # libjpeg holds a progressive image in memory at full size even if it returns a reduced one.
        with _room(pixels if image.info.get("progressive") else image.width * image.height):
            image.load()
            eight, unstated = depths.to_eight_bits(image, data, whites)
            rgb = _on_ground(_upright(eight), notes)
            # The copy below holds no reference to the open file.
            box = None if size is None or crop == "squash" else _centre(rgb.size, size)
            small = rgb.copy() if size is None else rgb.resize(size, Image.Resampling.BILINEAR, box=box)
            small.info = {"notes": notes, "unstated": unstated}
            return small


# A JPEG whose last bytes are missing is decoded with each of these endings. Rows that differ between the two results
# are not in the file.
_ENDINGS = (jpeg.END, b"\xa5\x3c\x96\x0f" * 64 + jpeg.END)
# The most pixel rows in the last row of blocks of a JPEG: 16 where colour has half the resolution.
_LAST_ROWS = 16


def _rows_missing(data: bytes) -> int:
    """Return how many rows are missing from a JPEG without its end.

    Raises:
        ImageError: when more than its last row of blocks is missing.
    """
    one, other = (np.asarray(_decode(data + ending, None, "squash", [])) for ending in _ENDINGS)
    differ = np.flatnonzero((one != other).any(axis=(1, 2)))
    missing = len(one) - int(differ[0]) if len(differ) else 0
    if missing > _LAST_ROWS or missing > len(one) // 2:
        raise ImageError(f"damaged or truncated ({missing} of {len(one)} rows are missing)")
    return missing


def _centre(whole: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest box (left, top, right, bottom) around the middle that has the proportions of ``size``."""
    scale = min(whole[0] / size[0], whole[1] / size[1])
    left, top = (max((side - scale * wanted) / 2, 0.0) for side, wanted in zip(whole, size, strict=True))
    return left, top, whole[0] - left, whole[1] - top


_free = _ROOM_PIXELS
_freed = threading.Condition()


@contextmanager
def _room(pixels: int) -> Iterator[None]:
    """Wait until this many pixels can be decoded within `_ROOM_PIXELS`, and reserve them for the ``with`` block.

    This bounds the memory that many threads with large images take together.
    """
    global _free
    with _freed:
        _freed.wait_for(lambda: _free >= pixels)
        _free -= pixels
    try:
        yield
    finally:
        with _freed:
            _free += pixels
            _freed.notify_all()


def _refuse_many_scans(image: Image.Image, data: bytes, opened: int) -> None:
    """Refuse a JPEG, or a TIFF of JPEGs, with so many scans that decoding would take too long.

    ``opened`` is the number of bytes that Pillow read to open the file; for a JPEG these end where the data of its
    first scan begins.
    """
    parts = 1
    if isinstance(image, TiffImageFile):
        if image.info.get("compression") not in ("jpeg", "tiff_jpeg"):
            return
        parts = max(len(image.tag_v2.get(offsets, ())) for offsets in (STRIPOFFSETS, TILEOFFSETS))
    elif not isinstance(image, JpegImageFile) or _has_one_scan(image, data, opened):
        return
    scans = _count_tiff_scans(image, data) if isinstance(image, TiffImageFile) else jpeg.count_scans(data)[0]
    if scans * image.width * image.height > _MAX_SCANNED * max(parts, 1):
        raise ImageError(f"{scans} scans of {image.width} x {image.height} pixels, more than a photograph has")


def _count_tiff_scans(image: TiffImageFile, data: bytes) -> int:
    """Return the number of scans of all JPEGs in a TIFF."""
    scans = looked_at = 0
    for start in {start for tag in (STRIPOFFSETS, TILEOFFSETS) for start in image.tag_v2.get(tag, ())}:
        if not data.startswith(b"\xff\xd8", start):
            continue
        found, end = jpeg.count_scans(data, start)
        scans += found
        looked_at += (end if end >= 0 else len(data)) - start
        # In a valid file the JPEGs do not overlap. A crafted one could make a reader scan the same bytes many times.
        if looked_at > 2 * len(data):
            raise ImageError("a TIFF whose JPEGs overlap")
    return scans


def _has_one_scan(image: JpegImageFile, data: bytes, opened: int) -> bool:
    """Tell whether the JPEG is sequential and its first scan holds all components, so that there is no other scan.

    This is faster than to count the scans.
    """
    scan = struct.pack(">HHB", 0xFFDA, 6 + 2 * image.layers, image.layers)
    return "progressive" not in image.info and data.startswith(scan, opened - 8 - 2 * image.layers)


def _upright(image: Image.Image) -> Image.Image:
    try:
        # An upright image is returned itself, because Pillow would copy it.
        return image if image.getexif().get(ExifTags.Base.Orientation, 1) == 1 else ImageOps.exif_transpose(image)
    # With damaged EXIF data the pixels are still usable.
    except Exception:
        return image


# A composited image counts as without contrast if the values of each channel differ by less than this, of 255.
_SEEN = 48


def _on_ground(image: Image.Image, notes: list[str]) -> Image.Image:
    """Return an image in RGB; a transparent one is composited onto white, or black if it has no contrast on white."""
    if not image.has_transparency_data:
        # An RGB image is returned itself, because Pillow would copy it.
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if _contrast(white) >= _SEEN:
        return white
    black = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba).convert("RGB")
    if _contrast(black) < _SEEN:
        return white
    notes.append("white on a transparent ground: shown on black")
    return black


def _contrast(image: Image.Image) -> int:
    """Return the largest difference between two values of one channel."""
    return max(int(most) - int(least) for least, most in np.reshape(image.getextrema(), (-1, 2)))


def is_flat(image: Image.Image) -> bool:
    """Tell whether an RGB image has one colour only, apart from compression artefacts."""
    return _contrast(image) <= _FLAT


_FLAT = 2


def inspect(data: bytes) -> ImageInfo:
    """Decode an image entirely and return its size.

    Raises:
        ImageError: see `decode`.
    """
    image = decode(data)
    return ImageInfo(image.width, image.height)


def load(
    path: str | Path, size: tuple[int, int], crop: Crop = "squash", whites: Whites | None = None
) -> NDArray[np.uint8]:
    """Read an image file as the input of a network.

    Args:
        path: the file.
        size: (width, height) to which the image is resized.
        crop: see `decode`.
        whites: see `decode`.

    Returns:
        Array of shape (height, width, 3), uint8, RGB.

    Raises:
        ImageError: see `read_bytes` and `decode`.
    """
    return np.asarray(decode(read_bytes(path), size, crop, whites))


def thumbnail(path: str | Path, side: int, whites: Whites | None = None) -> Image.Image:
    """Read an image file, shrunk to fit a square of ``side`` pixels, proportions kept; ``whites`` as in `decode`.

    Raises:
        ImageError: see `read_bytes` and `decode`.
    """
    image = decode(read_bytes(path), whites=whites)
    image.thumbnail((side, side))
    return image
