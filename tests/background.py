"""Processes that run beside a test and hold what they have taken until their standard input closes."""

import os
import subprocess
import sys
from pathlib import Path

import cbir

_SCRIPTS = str(Path(cbir.__file__).parents[1])


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python code with the library at hand."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": _SCRIPTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
