"""One process of pytest-xdist runs all tests of a module, see `conftest.group`, so that fixtures are made once."""

import os
from pathlib import Path

import pytest

import sharing


@pytest.mark.parametrize("number", range(8))
def test_a_module_stays_in_one_process(number: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    process = os.environ.get("PYTEST_XDIST_WORKER", "alone")

    def first(folder: Path) -> None:
        folder.mkdir()
        (folder / "process").write_text(process)

    assert (sharing.once(tmp_path_factory, "groups", first) / "process").read_text() == process
