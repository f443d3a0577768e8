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

from cbir.files.errors import InputError

Crop = Literal["squash", "centre"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
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


def decode(data: bytes, size: tuple[int, int] | None = None, crop: Crop = "squash") -> Image.Image:
    """Decode an image to RGB: first frame, EXIF orientation applied, transparency on white, 16 bits scaled to 8.

    Args:
        data: the bytes of a JPEG, PNG, WebP, GIF, BMP or TIFF file.
        size: (width, height) to bring the image to, bilinear with antialiasing; large JPEGs are then decoded at the
            smallest of libjpeg's scales that is not smaller. None keeps the image's own size.
        crop: how: ``squash`` takes the whole image and changes its proportions; ``centre`` keeps them, takes the
            largest part of the size's proportions around the middle, and cuts off the rest.

    Returns:
        A Pillow image of mode RGB.

    Raises:
        ImageError: when the data is not such an image, is truncated or damaged, or has over ``MAX_PIXELS`` pixels.
    """
    try:
        stream = io.BytesIO(data)
        with Image.open(stream, formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise ImageError(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS:,} allowed")
            _refuse_many_scans(image, data, stream.tell())
            if size is not None:
                image.draft("RGB", size)
            # libjpeg holds a progressive image whole even where it gives a small one.
            with _room(pixels if image.info.get("progressive") else image.width * image.height):
                image.load()
                rgb = _to_rgb(_upright(image))
                # A copy no longer hangs on its file.
                if size is None:
                    return rgb.copy()
                box = None if crop == "squash" else _centre(rgb.size, size)
                return rgb.resize(size, Image.Resampling.BILINEAR, box=box)
    except ImageError:
        raise
    except Image.UnidentifiedImageError:
        raise ImageError("not an image in a supported format") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than the {MAX_PIXELS:,} pixels allowed") from None
    # Decoders raise nearly anything on damaged data (OSError, SyntaxError, struct.error, ...): all mean the same here.
    except Exception as error:
        raise ImageError(f"damaged or truncated ({' '.join(str(error).split()) or type(error).__name__})") from error


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
    # Within a scan's data a marker cannot occur.
    scans = data.count(b"\xff\xda")
    if scans * image.width * image.height > _MAX_SCANNED * max(parts, 1):
        raise ImageError(f"{scans} scans of {image.width} x {image.height} pixels, more than a photograph has")


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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(np.clip(np.asarray(image) // 257, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError("floating-point pixels have no defined brightness")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    # Pillow would copy what is RGB.
    return image if image.mode == "RGB" else image.convert("RGB")


def inspect(data: bytes) -> ImageInfo:
    """Decode an image entirely and return its size.

    Raises:
        ImageError: see `decode`.
    """
    image = decode(data)
    return ImageInfo(image.width, image.height)


def load(path: str | Path, size: tuple[int, int], crop: Crop = "squash") -> NDArray[np.uint8]:
    """Read an image file as a network takes it.

    Args:
        path: the file.
        size: (width, height) that the image is brought to.
        crop: how, see `decode`.

    Returns:
        Array of shape (height, width, 3), uint8, RGB.

    Raises:
        ImageError: see `read_bytes` and `decode`.
    """
    return np.asarray(decode(read_bytes(path), size, crop))


def thumbnail(path: str | Path, side: int) -> Image.Image:
    """Read an image file, shrunk to fit a square of ``side`` pixels, proportions kept.

    Raises:
        ImageError: see `read_bytes` and `decode`.
    """
    image = decode(read_bytes(path))
    image.thumbnail((side, side))
    return image
