"""Hash the files of an image folder; later runs read only those that are new or changed."""

import json
import logging
import os
import re
import time
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cbir.collection.exclusions import Exclusions
from cbir.collection.images import MAX_BYTES
from cbir.files.atomic import sweep
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file, sha256_json
from cbir.files.progress import Progress
from cbir.files.tables import write_text

log = logging.getLogger("cbir")

# Snakemake writes this file into folders that are outputs of a rule.
_MARK = ".snakemake_timestamp"
# Folders deeper than this, or with longer paths, are not entered, because the system cannot open much longer paths.
_MOST_LEVELS = 100
_LONGEST_PATH = 3500
# The hash of a file is cached only if the file is older than this: a younger one may change again without a change of
# its times, whose resolution is limited.
_SETTLED_SECONDS = 2.0


def require_folder(folder: str | Path) -> None:
    """Refuse an image folder that does not exist.

    Raises:
        InputError: when it is missing or is not a folder.
    """
    if not os.path.isdir(folder):
        state = "is not a folder" if os.path.exists(folder) else "does not exist"
        relative = "" if os.path.isabs(folder) else " (a relative path starts in the folder of the run)"
        raise InputError(
            f"The image folder {os.path.abspath(folder)} {state}: set collection.path to a folder with one sub-folder "
            f"a category{relative}."
        )


def list_files(folder: str | Path, exclude: Sequence[str] = ()) -> list[str]:
    """List all files below a folder as sorted relative paths with forward slashes.

    A folder that does not belong to the collection (see `cbir.collection.exclusions`) is not entered; it is listed
    itself, with a slash at the end. Names are converted to Unicode's composed form (NFC) where the file system treats
    both forms as the same name, so that names are equal on all machines.

    Symbolic links are followed. Within each top-level folder (a category) a folder is entered only once, even if
    several links lead to it, so that circular links end. A folder that is too deep is not entered; it is listed itself,
    like a file that cannot be used.

    Raises:
        InputError: when the folder is missing, is not a folder or cannot be read.
    """
    require_folder(folder)
    root = Path(folder)
    exclusions = Exclusions(exclude)

    def refuse(error: OSError) -> None:
        raise InputError(f"The folder {error.filename} cannot be read ({error.strerror}): allow reading it.") from error

    found: list[str] = []
    entered: dict[str, set[str]] = {}
    for parent, names, files in os.walk(root, followlinks=True, onerror=refuse):
        below = Path(parent).relative_to(root)
        if len(below.parts) > _MOST_LEVELS or len(os.fsencode(parent)) > _LONGEST_PATH:
            found.append(below.as_posix())
            names.clear()
            continue
        # In sorted order, so that the choice among several links does not depend on the file system.
        for name in sorted(names):
            if not exclusions.is_entered(f"{(below / name).as_posix()}/"):
                names.remove(name)
                found.append(f"{(below / name).as_posix()}/")
                continue
            seen = entered.setdefault((below / name).parts[0], {os.path.realpath(root)})
            real = os.path.realpath(os.path.join(parent, name))
            if real in seen:
                names.remove(name)
            seen.add(real)
        names.sort()
        found += [(below / name).as_posix() for name in files if name != _MARK]
    return sorted(_composed(root, name) for name in found)


def _composed(root: Path, name: str) -> str:
    """Return a name in Unicode's composed form (NFC) if the file system treats it as the same file."""
    if unicodedata.is_normalized("NFC", name):
        return name
    composed = unicodedata.normalize("NFC", name)
    try:
        return composed if os.path.samefile(root / composed, root / name) else name
    except OSError:
        return name


def hash_folder(folder: str | Path, memory: str | Path, exclude: Sequence[str] = ()) -> dict[str, str]:
    """Hash all files below a folder, reading only those that are new or changed since the last time.

    Args:
        folder: the folder.
        memory: see `hash_files`.
        exclude: patterns of files and folders that do not belong to the collection.

    Returns:
        See `hash_files`; in the order of `list_files`.

    Raises:
        InputError: see `list_files`.
    """
    return hash_files(folder, list_files(folder, exclude), memory)


def hash_files(folder: str | Path, names: Iterable[str], memory: str | Path) -> dict[str, str]:
    """Hash files, reading only those that are new or changed since the last time.

    A file counts as unchanged if its size, modification time, change time and inode are the same as last time.

    Args:
        folder: the folder.
        names: paths relative to it.
        memory: a JSON file that caches the hashes; it is created and updated, and a damaged one is replaced.

    Returns:
        SHA-256 by relative path, in the order of the names; empty for files that are unreadable, empty or larger than
        ``images.MAX_BYTES``.
    """
    root, names = Path(folder), list(names)
    known = _remembered(Path(memory))
    remembered = len(known)
    states = {name: _state(root / name) for name in names}
    stale = [name for name in names if name not in known or known[name][0] != states[name]]
    if stale:
        progress = Progress("files hashed", len(stale))

        def digest(name: str) -> str:
            # A link may lead to a file in /proc or /sys, some of which have size 0 and can be read without end.
            if not (0 < states[name][0] <= MAX_BYTES and os.path.isfile(root / name)):
                return ""
            try:
                return sha256_file(root / name)
            except OSError:
                return ""

        with ThreadPoolExecutor() as pool:
            for name, value in zip(stale, pool.map(digest, stale), strict=True):
                known[name] = [states[name], value]
                progress.advance()
    hashes = {name: known[name][1] for name in names}
    if stale or remembered != len(names):
        horizon = (time.time() - _SETTLED_SECONDS) * 1e9
        # A file that could not be read is tried again next time, because the error may be temporary.
        settled = {name: known[name] for name in names if hashes[name] and max(states[name][1:3]) < horizon}
        try:
            sweep(memory)
            write_text(memory, json.dumps({"files": settled}))
        # Another process may remove the temporary file of this one.
        except (InputError, FileNotFoundError) as error:
            log.debug("%s", error)
    return hashes


def _remembered(memory: Path) -> dict[str, list]:
    try:
        files = json.loads(memory.read_text(encoding="utf-8"))["files"]
        return {
            name: [state, digest] for name, (state, digest) in files.items() if re.fullmatch("[0-9a-f]{64}", digest)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _state(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return [-1, -1, -1, -1]
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def fingerprint(hashes: dict[str, str]) -> str:
    """Return one hash over all names and contents, from the result of `hash_folder`."""
    return sha256_json(hashes)
