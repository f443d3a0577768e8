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

# Snakemake leaves it in folders that a rule makes.
_MARK = ".snakemake_timestamp"
# Folders that are deeper, or whose path is longer, are not entered: the system cannot open much longer paths.
_MOST_LEVELS = 100
_LONGEST_PATH = 3500
# A file younger than this may change again within the clock's resolution: its hash is not remembered yet.
_SETTLED_SECONDS = 2.0


def require_folder(folder: str | Path) -> None:
    """Refuse an image folder that is not there.

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

    A folder that is no part of a collection (see `cbir.collection.exclusions`) is not entered: it is listed itself,
    with a slash behind it. Names are composed (Unicode NFC) where the file system takes both forms for one name,
    so that a collection is called the same on each machine.

    Symbolic links are followed. Within each of the first folders (the categories) a folder is entered once, by whatever
    number of links it can be reached, so that links in a circle come to an end. A folder that lies too deep is listed
    itself, as a file that cannot be used would be, and not entered.

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
        # In sorted order, so that which of several links is followed does not depend on the file system.
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
    """Return a name in Unicode's composed form if the file system takes that for the same file."""
    # What is not UTF-8 comes with surrogates and stays as it is.
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
        exclude: patterns of what is no part of the collection.

    Returns:
        See `hash_files`; in the order of `list_files`.

    Raises:
        InputError: see `list_files`.
    """
    return hash_files(folder, list_files(folder, exclude), memory)


def hash_files(folder: str | Path, names: Iterable[str], memory: str | Path) -> dict[str, str]:
    """Hash files, reading only those that are new or changed since the last time.

    A file counts as unchanged while its size, modification time, change time and inode stay what they were.

    Args:
        folder: the folder.
        names: paths relative to it.
        memory: a JSON file in which hashes are remembered; made, updated or ignored when damaged.

    Returns:
        SHA-256 by relative path, in the order of the names; files that are unreadable, empty or larger than an image
        may be have an empty hash.
    """
    root, names = Path(folder), list(names)
    known = _remembered(Path(memory))
    remembered = len(known)
    states = {name: _state(root / name) for name in names}
    stale = [name for name in names if name not in known or known[name][0] != states[name]]
    if stale:
        progress = Progress("files hashed", len(stale))

        def digest(name: str) -> str:
            # A link may lead to a file of /proc or /sys: some have the size 0 and never end.
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
        # A file that could not be read is tried again next time, because the fault may be temporary.
        settled = {name: known[name] for name in names if hashes[name] and max(states[name][1:3]) < horizon}
        try:
            sweep(memory)
            write_text(memory, json.dumps({"files": settled}))
        # Another process may sweep away what this one writes.
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
    """Return one hash over names and contents, as `hash_folder` gives them."""
    return sha256_json(hashes)
