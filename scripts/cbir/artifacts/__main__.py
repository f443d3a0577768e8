"""Print artifacts of a run's results, and check whether each one fits the files that it was made from.

Exit status: 0 if all fit, 1 if one does not fit, is damaged or was not made by the workflow.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

from cbir.artifacts.found import WIDTH, Found, belongs, describe
from cbir.artifacts.registry import locate
from cbir.files import logs
from cbir.files.errors import InputError
from cbir.files.printable import printable
from cbir.results import Results


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="inspect", description=__doc__)
    parser.add_argument("path", type=Path, nargs="+", help="a file below a run's results, or a folder of them")
    logs.to_console("%(message)s")
    warnings.simplefilter("ignore")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return max(_inspect(path) for path in parser.parse_args(arguments).path)
    except BrokenPipeError:
        # The program that reads the output has closed it, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _inspect(path: Path) -> int:
    try:
        return _file(path) if not path.is_dir() or is_artifact(path) else _folder(path)
    except (InputError, OSError, ValueError) as error:
        print(printable(f"no: {error}"))
        return 1


def is_artifact(path: Path) -> bool:
    """Return whether a file or folder is an artifact of the workflow."""
    try:
        locate(path)
    except InputError:
        return False
    return True


def _file(path: Path) -> int:
    """Print all about one artifact; return the exit status."""
    print(printable(str(path)))
    what, found, reason = look(path, {})
    print(describe(what, found))
    print(f"\n{belongs(found, reason)}")
    return int(bool(reason))


def _folder(path: Path) -> int:
    """Print a line for each artifact below a folder; return the exit status."""
    files = _artifacts(path)
    if not files:
        raise InputError(f"{path} holds no file: run the workflow first.")
    known: dict[Path, Results] = {}
    misfits = 0
    for file in files:
        _, found, reason = look(file, known)
        misfits += bool(reason)
        name = printable(file.relative_to(path).as_posix())
        print(f"NO  {name}: {reason}" if reason else f"ok  {name}: {printable(found.count)}"[:WIDTH])
    print(f"{len(files):,} artifacts, {len(files) - misfits:,} fit, {misfits:,} do not")
    return int(bool(misfits))


def _artifacts(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without hidden ones; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise InputError(f"The folder {error.filename} cannot be read ({error.strerror}): allow reading it.") from error

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        whole = [name for name in folders if is_artifact(Path(parent, name))]
        folders[:] = [name for name in folders if name not in whole and not name.startswith(".")]
        found += [Path(parent, name) for name in [*names, *whole] if not name.startswith(".")]
    return sorted(found)


def look(path: Path, known: dict[Path, Results]) -> tuple[str, Found, str]:
    """Inspect one artifact.

    Args:
        path: the file.
        known: a cache of results by folder, so that no file is read twice; the function adds to it.

    Returns:
        The description of its kind, the findings, and a sentence that says why it does not fit, or "" if it fits.
    """
    what, found = "unknown", Found()
    try:
        if not os.path.lexists(path):
            raise InputError(f"{path} does not exist: check the path.")
        root, kind, names = locate(path)
        what = kind.what
        if not kind.folder and not path.is_file():
            raise InputError(f"{path} is not a regular file: remove it and run again.")
        kind.look(known.setdefault(root, Results(root)), path, names, found)
    except InputError as error:
        return what, found, str(error)
    # A file that was edited or comes from elsewhere may have any content, so a check may raise any exception.
    except Exception as error:
        reason = f"{path} is not as the workflow writes it ({type(error).__name__}: {error}): remove it and run again."
        return what, found, str(InputError(reason))
    return what, found, ""


if __name__ == "__main__":
    sys.exit(main())
