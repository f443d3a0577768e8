"""Perceptual hashes, which hardly change when an image is resized, compressed again, brightened or slightly cropped.

Two hashes of 256 bits are taken, which err in different places: pHash (signs of the low frequencies of a cosine
transform) and dHash (which of two neighbouring points is brighter). Their distance is the larger of the two Hamming
distances. Of two unrelated photographs it is about 128.
"""

import re
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
from PIL import Image, ImageOps

from cbir.collection.columns import HASH_COLUMNS

BITS = 256

_SIDE = 16
# The hashes look at 64 x 64 points; a smaller image lacks the detail that tells two images apart.
_MIN_SIDE = 64
# Standard deviation of brightness, of 255: below it there is nothing but noise and the marks of compression.
_MIN_CONTRAST = 4.0
# Scaled down to this once, instead of once for each hash.
_WORKING_SIDE = 256


@dataclass(frozen=True)
class Hashes:
    """Perceptual hashes of an image and of its mirror image (left to right), 64 hexadecimal digits each.

    All are empty for an image that cannot be compared: smaller than 64 pixels on a side, or plain.
    """

    phash: str = ""
    dhash: str = ""
    phash_mirrored: str = ""
    dhash_mirrored: str = ""


def hashes(image: Image.Image) -> Hashes:
    """Return the perceptual hashes of an image; empty ones if it is too small or too plain to be compared."""
    if min(image.size) < _MIN_SIDE:
        return Hashes()
    size = (min(image.width, _WORKING_SIDE), min(image.height, _WORKING_SIDE))
    grey = image.convert("L").resize(size, Image.Resampling.BOX)
    if np.asarray(grey).std() < _MIN_CONTRAST:
        return Hashes()
    both = (grey, ImageOps.mirror(grey))
    return Hashes(*(str(take(way, _SIDE)) for way in both for take in (imagehash.phash, imagehash.dhash)))


def is_hashes(value: Any) -> bool:
    """Tell whether ``value`` is a list of four hashes, as `hashes` gives them: all of them or none."""
    if not isinstance(value, list) or len(value) != len(HASH_COLUMNS):
        return False
    return value == [""] * len(value) or all(
        isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None for text in value
    )
