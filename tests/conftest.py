"""What several tests share: small collections of pictures with known content."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

# As jobs do, see `cbir.workflow.job`: text is the same with and without pyarrow, which users need not have.
pd.options.mode.string_storage = "python"
SIDE = 48
TESTS = Path(__file__).parent


def folder(item: pytest.Item) -> str:
    """The folder of a test, or its module where it is in none."""
    return item.path.relative_to(TESTS).parts[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests go to one process of pytest-xdist together, and begin with those that take longest.

    A module's tests stay together, because they share what its fixtures make. The tests of the cluster share one SLURM,
    those of the search page one browser. A test of the workflow goes alone where its module does not say otherwise.
    """
    first = ["cluster", "workflow", "browser"]
    items.sort(key=lambda item: ([*first, folder(item)].index(folder(item)), item.path.stem != "test_sequences"))
    for item in items:
        if folder(item) in ("browser", "cluster"):
            item.add_marker(pytest.mark.xdist_group(folder(item)))
        elif item.path.parent != TESTS / "workflow":
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(TESTS).as_posix()))


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
