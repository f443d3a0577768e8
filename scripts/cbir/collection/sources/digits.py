"""The digits collection: scikit-learn's handwritten digits as PNG files, a folder for each digit; needs no network."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.files import atomic
from cbir.files.progress import Progress

DESCRIPTION = "Handwritten digits that come with scikit-learn."
SETTINGS = ()

SCALE = 4
"""Each of the 8x8 values becomes a square with this many pixels a side, so that digits are legible in the report."""


def fetch(folder: Path, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Write the 1,797 digits of scikit-learn's copy of UCI's test set as 32x32 8-bit grey PNGs.

    The same bytes are written on every machine. Nearest-neighbour scaling keeps the 17 grey levels exactly:
    ``pixels[::4, ::4]`` is the original image with 0..16 scaled to 0..255.

    Args:
        folder: where the folders ``0`` to ``9`` go; files are named by index in the data set, ``0/0000.png``.
        settings: empty.

    Returns:
        A row for each image, in the order of the data set: ``file``, ``author``, ``licence``, ``source``.

    Raises:
        InputError: when the folder cannot be written.
    """
    # Imported here, because the import of scikit-learn takes a second.
    from sklearn.datasets import load_digits

    digits = load_digits()
    progress = Progress("digits written", len(digits.target))
    names = []
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        grey = np.rint(image * (255 / 16)).astype(np.uint8)
        name = f"{label}/{index:04}.png"
        with atomic.atomic(folder / name) as temporary:
            temporary.write_bytes(_png(grey.repeat(SCALE, axis=0).repeat(SCALE, axis=1)))
        names.append(name)
        progress.advance()
    return pd.DataFrame(
        {
            "file": names,
            "author": "E. Alpaydin and C. Kaynak",
            "licence": "CC-BY-4.0",
            "source": "https://doi.org/10.24432/C50P49",
        }
    )


def _png(grey: NDArray[np.uint8]) -> bytes:
    """Return an 8-bit grey PNG (W3C PNG specification, 3rd edition) of an array of shape (height, width).

    The pixels are not compressed, because compressed bytes differ between versions of zlib, and the split depends on
    the bytes of the files.
    """
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, level=0)), (b"IEND", b"")):
        image += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return image
