"""Folders that all test processes share; with pytest-xdist, each process has its own session fixtures."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a temporary folder that the first test process makes, while the others wait for it.

    Args:
        factory: pytest's factory of temporary folders.
        name: name of the folder; all calls with the same name return the same folder.
        make: creates and fills the folder. If it raises, the next process tries again.
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
