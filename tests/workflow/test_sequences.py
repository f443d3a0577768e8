"""After any change one run is enough: random sequences of changes, see `tests/sequences.py`."""

import subprocess
import sys
from pathlib import Path


def test_sequences_of_changes() -> None:
    driver = Path(__file__).parents[1] / "sequences.py"
    # Each sequence is a finished run, one or more changes, and a run that is compared.
    command = [sys.executable, str(driver), "0", "10", "--steps", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
