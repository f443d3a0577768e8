"""Folders that are made once for all test processes: with pytest-xdist, each process has its own session fixtures."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a temporary folder that the first test process to ask for it makes; the others wait for it.

    Args:
        factory: pytest's.
        name: of the folder; what is asked for by the same name is the same.
        make: fills the folder, which does not exist yet. When it raises, the next to ask tries again.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The folder that pytest-xdist makes for all its processes.
        base = base.parent
    folder, made = base / name, base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder
