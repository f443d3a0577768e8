"""Shared fixtures: small collections of pictures with known content."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

# As jobs do, see `cbir.workflow.job`: text is the same with and without pyarrow, which users need not have.
pd.options.mode.string_storage = "python"
SIDE = 48
TESTS = Path(__file__).parent


def group(path: str) -> str:
    """The group of a test module, which one process of pytest-xdist runs; "" when its tests may go to several.

    The tests of the cluster share one SLURM, those of the search page one browser, and those of the two modules of the
    workflow the same two runs. The other tests of the workflow share what `sharing.once` makes, and a module elsewhere
    what its fixtures make and its imports load.

    Args:
        path: of the module, relative to the tests.
    """
    folder = path.split("/")[0]
    if folder in ("browser", "cluster"):
        return folder
    if path in ("workflow/test_inspect.py", "workflow/test_same_figures.py"):
        return "machines"
    return "" if path.startswith("workflow/test_") else path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest."""
    first = ["cluster", "test_sequences", "test_fuzz", "machines", "workflow", "browser"]

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS)
        names = (item.path.stem, group(path.as_posix()), path.parts[0])
        return next((first.index(name) for name in names if name in first), len(first))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hand out the tests by `group`.

    Not by marks and ``--dist loadgroup``: with pytest 9.2 it takes no notice of them (pytest-xdist issue 1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = (config.rootpath / nodeid.split("::")[0]).relative_to(TESTS)
            return group(path.as_posix()) or nodeid

    return Groups(config, log)


def picture(category: int, number: int) -> Image.Image:
    """A noisy picture whose colour depends on its category; every (category, number) has different pixels."""
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
