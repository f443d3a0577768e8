"""After any change one run is enough: sequences of changes, see `tests/sequences.py`."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("first", "last"), [(0, 5), (5, 10)])
def test_sequences_of_changes(first: int, last: int) -> None:
    driver = Path(__file__).parents[1] / "sequences.py"
    # A finished run, one or more changes, and a run that is compared.
    command = [sys.executable, str(driver), str(first), str(last), "--steps", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
