"""A copy of the project with one more entry in a registry, to see that a new file is all that it takes."""

import os
import subprocess
import sys
from pathlib import Path

from workplace import check_out


def add(checkout: Path, registry: str, word: str, entry: str) -> Path:
    """Copy the project to a folder, write an entry into one of its registries, and return the entry's file."""
    check_out(checkout)
    path = checkout / "scripts/cbir" / registry / f"{word.replace('-', '_')}.py"
    path.write_text(entry, encoding="utf-8")
    return path


def python(checkout: Path, code: str, *arguments: str) -> str:
    """Run Python code with the library of a copy, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "scripts")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
