"""Shared fixtures and the distribution of tests to processes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

# As in jobs, see `cbir.workflow.job`: text columns have the same type with and without pyarrow, which is optional.
pd.options.mode.string_storage = "python"
SIDE = 48
TESTS = Path(__file__).parent


def group(path: str) -> str:
    """Return the group of a test module, all of whose tests run in one process of pytest-xdist; "" if it has none.

    The tests of the cluster share one SLURM, those of the browser one browser, and two modules of the workflow the same
    two runs. The other modules of the workflow need no group, because they share folders through `sharing.once`. Every
    module elsewhere is a group by itself, because its tests share fixtures and imports.

    Args:
        path: path of the module, relative to the tests.
    """
    folder = path.split("/")[0]
    if folder in ("browser", "cluster"):
        return folder
    if path in ("workflow/test_inspect.py", "workflow/test_same_figures.py"):
        return "machines"
    return "" if path.startswith("workflow/test_") else path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slowest tests first."""
    first = ["cluster", "test_sequences", "test_fuzz", "machines", "workflow", "browser"]

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS)
        names = (item.path.stem, group(path.as_posix()), path.parts[0])
        return next((first.index(name) for name in names if name in first), len(first))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Distribute the tests by `group`.

    Marks and ``--dist loadgroup`` do not work with pytest 9.2 (pytest-xdist issue 1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = (config.rootpath / nodeid.split("::")[0]).relative_to(TESTS)
            return group(path.as_posix()) or nodeid

    return Groups(config, log)


def picture(category: int, number: int) -> Image.Image:
    """Return a noisy image whose colour depends on its category; every (category, number) has different pixels."""
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
