"""Background processes of tests, which keep their locks until their standard input is closed."""

import os
import subprocess
import sys
from pathlib import Path

import cbir

_SCRIPTS = str(Path(cbir.__file__).parents[1])


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start Python code that can import the library."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": _SCRIPTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    """Wait for the next line of a process's output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
