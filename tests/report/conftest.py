"""The report of a small run."""

from pathlib import Path

import pytest

from report_run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)
