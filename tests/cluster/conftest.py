"""SLURM on this machine."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = "tests/cluster/slurm.sh"


@pytest.fixture(scope="session")
def slurm() -> None:
    """Use the SLURM that slurm.sh started; without it the tests are skipped, except in CI, where they fail."""
    # The paths of slurm.sh.
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("CBIR_SLURM") or Path(cache, "cbir-slurm"))
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
    try:
        subprocess.run(["sinfo"], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        words = f"no SLURM: `apt-get install slurm-wlm`, `{SCRIPT} up`, then `.venv/bin/pytest tests/cluster`"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
