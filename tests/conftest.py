"""What several tests share: small collections of pictures with known content."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 48


def picture(category: int, number: int) -> Image.Image:
    """A noisy picture whose colour tells its category; every (category, number) has other pixels."""
    random = np.random.default_rng([category, number])
    base = np.array([[220, 60, 60], [60, 220, 60], [60, 60, 220], [220, 220, 60]][category % 4])
    noise = random.integers(-40, 40, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8))


def write_collection(folder: Path, categories: tuple[str, ...] = ("apple", "leaf", "sea"), count: int = 6) -> Path:
    """Write ``count`` PNGs for each category; return the folder."""
    for label, category in enumerate(categories):
        (folder / category).mkdir(parents=True)
        for number in range(count):
            picture(label, number).save(folder / category / f"{number}.png")
    return folder


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A folder with 3 categories of 6 pictures each."""
    return write_collection(tmp_path / "collection")
