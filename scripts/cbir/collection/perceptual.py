"""Perceptual hashes, which hardly change when an image is resized, compressed again, brightened or slightly cropped.

Two hashes of 256 bits are used, because their errors differ: pHash (signs of the low frequencies of a cosine transform)
and dHash (which of two neighbouring points is brighter). The distance of two images is the larger of the two Hamming
distances; for unrelated photographs it is about 128.
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
# pHash is computed from 64 x 64 points; a smaller image has too little detail for the comparison.
_MIN_SIDE = 64
# The least standard deviation of brightness, of 255: an image below it holds only noise and compression artefacts.
_MIN_CONTRAST = 4.0
# The image is reduced to this size once, before the hashes are computed.
_WORKING_SIDE = 256


@dataclass(frozen=True)
class Hashes:
    """Perceptual hashes of an image and of its mirror image (left to right), 64 hexadecimal digits each.

    All are empty for an image that cannot be compared, because it is smaller than 64 pixels on a side, or of almost
    uniform brightness.
    """

    phash: str = ""
    dhash: str = ""
    phash_mirrored: str = ""
    dhash_mirrored: str = ""


def hashes(image: Image.Image) -> Hashes:
    """Return the perceptual hashes of an image; empty ones if it is too small or too uniform to be compared."""
    if min(image.size) < _MIN_SIDE:
        return Hashes()
    size = (min(image.width, _WORKING_SIDE), min(image.height, _WORKING_SIDE))
    grey = image.convert("L").resize(size, Image.Resampling.BOX)
    if np.asarray(grey).std() < _MIN_CONTRAST:
        return Hashes()
    both = (grey, ImageOps.mirror(grey))
    return Hashes(*(str(take(way, _SIDE)) for way in both for take in (imagehash.phash, imagehash.dhash)))


def is_hashes(value: Any) -> bool:
    """Tell whether ``value`` is a list of the four hashes that `hashes` returns: all valid, or all empty."""
    if not isinstance(value, list) or len(value) != len(HASH_COLUMNS):
        return False
    return value == [""] * len(value) or all(
        isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None for text in value
    )
