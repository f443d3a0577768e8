"""Jobs with damaged input files, see `fuzz`. More cases: ``python tests/fuzz.py CASES``."""

import os
import subprocess
import sys

from workplace import REPOSITORY, Workplace

CASES = 40


def test_damaged_files_are_read_or_an_input_error(uninterrupted: Workplace) -> None:
    # In a new process, because a process that has computed with TensorFlow cannot be forked.
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests/fuzz.py"), str(CASES), "0", str(uninterrupted.root)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    # The two lines of the table's head, the configuration, and seven kinds of files, most of which are also inspected.
    assert len(cases) >= 2 + 1 + 7
