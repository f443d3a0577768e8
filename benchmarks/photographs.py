"""Make JPEG files of a given size for benchmarks, from photographs or from noise that is as smooth as photographs."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def write(folder: Path, count: int, size: tuple[int, int], photographs: Path | None, workers: int) -> None:
    """Write ``count`` different JPEG files.

    Args:
        folder: the folder to write to, into one sub-folder.
        count: the number of files.
        size: (width, height) in pixels.
        photographs: a folder of images to resize; None generates images.
        workers: the number of threads.
    """
    (folder / "all").mkdir(parents=True)
    sources: list[Path] = []
    if photographs is not None:
        suffixes = {".jpg", ".jpeg", ".png", ".webp"}
        found = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in suffixes)
        sources = list(islice(cycle(found), count))

    def make(number: int) -> None:
        image = Image.open(sources[number]).convert("RGB") if sources else _noise(number)
        image = ImageOps.fit(image, size)
        # Pictures that are used twice differ in one pixel, so that no content occurs twice.
        image.putpixel((0, 0), (number % 256, number // 256 % 256, number // 65536))
        image.save(folder / "all" / f"{number:06d}.jpg", quality=90)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(make, range(count)))


def _noise(number: int) -> Image.Image:
    """Return a picture of noise with about the power spectrum of photographs."""
    random = np.random.default_rng(number)
    total = np.zeros((256, 256, 3))
    for side in (4, 8, 16, 32, 64, 128, 256):
        layer = Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8))
        total += (np.asarray(layer.resize((256, 256), Image.Resampling.BICUBIC), float) - 127.5) * (4 / side) ** 0.8
    return Image.fromarray(np.clip(total + 127.5, 0, 255).astype(np.uint8))
