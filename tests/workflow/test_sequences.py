"""After any change one run is enough: sequences of changes, see `tests/sequences.py`."""

import subprocess
import sys
from pathlib import Path


def test_ten_sequences_of_changes() -> None:
    command = [sys.executable, str(Path(__file__).parents[1] / "sequences.py"), "0", "10", "--steps", "3"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
