"""Decode image files, whatever their format says, to plain RGB."""

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
"""What Pillow reads of its own; HEIC, which it calls HEIF, is read by pillow-heif."""
MAX_PIXELS = 100_000_000
MAX_BYTES = 500_000_000

# Threads decode as many pixels at a time; one takes up to 22 bytes, where an image is transparent.
_ROOM_PIXELS = 150_000_000
# A progressive JPEG is worked through once a scan; photographs have some ten.
_MAX_SCANNED = 30 * MAX_PIXELS

# Blocks so large that the system gets them back; the allocator keeps smaller ones for each thread.
Image.core.set_block_size(2**28)
# Size is checked below, before anything is decoded; what else Pillow warns of spoils nothing or ends in an error.
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
    """Decode an image to RGB: first frame, EXIF orientation applied, transparency on a ground, more bits scaled to 8.

    Values of more than 8 bits are scaled by the range that the file states, see `cbir.collection.depths`. What is
    transparent is laid on white, or on black where nothing would be seen on white. A JPEG that lacks its last bytes is
    completed if all but its last rows are there.

    Args:
        data: the bytes of a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF or JPEG 2000 file.
        size: (width, height) to bring the image to, bilinear with antialiasing; large JPEGs are then decoded at the
            smallest of libjpeg's scales that is not smaller. None keeps the image's own size.
        crop: how: ``squash`` takes the whole image and changes its proportions; ``centre`` keeps them, takes the
            largest part of the size's proportions around the middle, and cuts off the rest.
        whites: what is white in files that do not state it, see `cbir.collection.ranges`; without it each image's own
            values decide.

    Returns:
        A Pillow image of mode RGB. Its ``info["notes"]`` says, a sentence each, what was not read as the file has it;
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
            # Half a marker, or half of an escaped byte.
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
    # Decoders raise nearly anything on damaged data (OSError, SyntaxError, struct.error, ...): all mean the same here.
    except Exception as error:
        what = f"{kind}: " if kind in _READ else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"damaged or truncated ({what}{reason})") from error


# For these formats the reason names the format. For older ones Pillow's own error already does.
_READ = ("HEIC", "AVIF", "JPEG 2000")


def _read_heif() -> None:
    """Let Pillow read HEIC; a tenth of a second that other formats need not wait for."""
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
        # libjpeg holds a progressive image whole even where it gives a small one.
        with _room(pixels if image.info.get("progressive") else image.width * image.height):
            image.load()
            eight, unstated = depths.to_eight_bits(image, data, whites)
            rgb = _on_ground(_upright(eight), notes)
            # A copy no longer hangs on its file.
            box = None if size is None or crop == "squash" else _centre(rgb.size, size)
            small = rgb.copy() if size is None else rgb.resize(size, Image.Resampling.BILINEAR, box=box)
            small.info = {"notes": notes, "unstated": unstated}
            return small


# Two endings of a JPEG whose last bytes are missing: whatever rows differ between them is not in the file.
_ENDINGS = (jpeg.END, b"\xa5\x3c\x96\x0f" * 64 + jpeg.END)
# Rows that a JPEG's last row of blocks may have, with colour at half the resolution.
_LAST_ROWS = 16


def _rows_missing(data: bytes) -> int:
    """Return how many rows a JPEG without its end lacks.

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
    """Wait until so many pixels more may be decoded, so that large images in many threads do not fill the memory."""
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
    """Refuse a JPEG of so many scans that decoding it would take too long (a TIFF may consist of JPEGs).

    ``opened`` is how many bytes Pillow read to open it: a JPEG's up to the data of its first scan.
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
    """Count the scans of all the JPEGs that a TIFF consists of."""
    scans = looked_at = 0
    for start in {start for tag in (STRIPOFFSETS, TILEOFFSETS) for start in image.tag_v2.get(tag, ())}:
        if not data.startswith(b"\xff\xd8", start):
            continue
        found, end = jpeg.count_scans(data, start)
        scans += found
        looked_at += (end if end >= 0 else len(data)) - start
        # Its parts lie side by side, unless it was made to keep a reader busy.
        if looked_at > 2 * len(data):
            raise ImageError("a TIFF whose JPEGs overlap")
    return scans


def _has_one_scan(image: JpegImageFile, data: bytes, opened: int) -> bool:
    """Tell whether libjpeg reads one scan only: a sequential one, of all components. Counting takes longer."""
    scan = struct.pack(">HHB", 0xFFDA, 6 + 2 * image.layers, image.layers)
    return "progressive" not in image.info and data.startswith(scan, opened - 8 - 2 * image.layers)


def _upright(image: Image.Image) -> Image.Image:
    try:
        # Pillow would copy what is upright.
        return image if image.getexif().get(ExifTags.Base.Orientation, 1) == 1 else ImageOps.exif_transpose(image)
    # A damaged EXIF block does not spoil the pixels.
    except Exception:
        return image


# Less than this between the brightest and the darkest of what is seen, in each channel, and it is lost on its ground.
_SEEN = 48


def _on_ground(image: Image.Image, notes: list[str]) -> Image.Image:
    if not image.has_transparency_data:
        # Pillow would copy what is RGB.
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
    return max(int(most) - int(least) for least, most in np.reshape(image.getextrema(), (-1, 2)))


def is_flat(image: Image.Image) -> bool:
    """Tell whether an RGB image is of one colour, but for what compression makes of it."""
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
    """Read an image file as a network takes it.

    Args:
        path: the file.
        size: (width, height) that the image is brought to.
        crop: how, see `decode`.
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
