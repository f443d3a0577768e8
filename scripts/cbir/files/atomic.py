"""Atomic writes, and locks for files that only one process at a time may write."""

import errno
import fcntl
import logging
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cbir.files.errors import InputError

log = logging.getLogger("cbir")

HDF5_OVERHEAD = 16_384
"""An upper bound on the bytes that an HDF5 file takes in addition to its data."""


# The names of temporary files: a dot, the stem of the file, eight characters, and the suffix of the file.
_TEMPORARY = re.compile(r"\.(.+?)\.[a-z0-9_]{8}(\.[^.]*)?")


@contextmanager
def atomic(path: str | Path, size: int = 0) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the block ends without an error.

    The temporary file is in the same folder, so that the replacement is a rename within one file system. It has the
    suffix of ``path``, by which libraries choose a format. Missing parent folders are created. After an error in the
    block the temporary file is removed, and ``path`` is unchanged.

    Args:
        path: the file.
        size: number of bytes that will be written, if known. HDF5 may crash when the disk fills up during a write, so
            the free space is checked first.

    Raises:
        InputError: when the disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        temporary = path.parent / f".{path.stem}.{secrets.token_hex(4)}{path.suffix}"
        # Created here, so that its permissions follow the umask, whichever library writes it.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield temporary
        # Synced before the rename, so that other machines never see an incomplete file at the final path.
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        if not _is_full(error) and (error.errno is None or isinstance(error, FileNotFoundError)):
            raise
        raise unwritable(path, error) from error
    # HDF5 reports a full disk by several types of exception.
    except Exception as error:
        if not _is_full(error):
            raise
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


_FULL = (errno.ENOSPC, errno.EDQUOT)


def _is_full(error: BaseException | None) -> bool:
    """Return whether an error, or one of its causes, reports a full disk or quota."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL or any(os.strerror(code) in str(error) for code in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def unwritable(path: Path, error: Exception) -> InputError:
    """Return the InputError for a file that cannot be written, with its reason and remedy."""
    if _is_full(error):
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        return InputError(
            f"{path} cannot be written (No space left on device; {free / 1e6:.1f} MB are free): free space on the disk "
            f"or in the quota of {path.parent.absolute()} and run again, what is finished is kept."
        )
    reason = error.strerror if isinstance(error, OSError) else error
    return InputError(f"{path} cannot be written ({reason}): allow writing there.")


@contextmanager
def sole_writer(path: str | Path) -> Iterator[None]:
    """Lock ``path`` against other processes, on this machine or another, until the block ends.

    If a submitting process is killed but its jobs continue, the next run submits the same jobs again. The later job
    then waits here. The lock is on a hidden file beside ``path`` and is released when its process ends. Without support
    by the file system there is no lock, and the log says so.

    Raises:
        InputError: when the hidden file cannot be written.
    """
    path = Path(path)
    lock = _lock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = os.fdopen(open_file(lock, os.O_WRONLY | os.O_CREAT), "w")
    except OSError as error:
        raise unwritable(lock, error) from error
    with stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                log.info("another job is writing %s (of an earlier run?): waiting until it ends", path)
                fcntl.lockf(stream, fcntl.LOCK_EX)
            else:
                log.info("%s: no locks on this file system (%s)", lock, error.strerror)
        yield


def is_being_written(path: str | Path) -> bool:
    """Return whether another process holds the lock of `sole_writer` for ``path``; this process must not hold it."""
    try:
        with os.fdopen(os.open(_lock(Path(path)), os.O_WRONLY | os.O_NOFOLLOW), "w") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    return False


def _lock(path: Path) -> Path:
    return path.parent / f".{path.name}.lock"


def open_file(path: str | Path, flags: int) -> int:
    """Open a regular file for writing in place, but never through a symbolic link.

    A folder from elsewhere may contain a link instead of a file, and writing through it would change a file outside.
    `atomic` does not need this check, because it replaces a link by a new file.

    Args:
        path: the file.
        flags: flags of `os.open`. With ``O_CREAT``, the permissions of a new file follow the umask.

    Returns:
        The file descriptor.

    Raises:
        InputError: when the path is a link or not a regular file.
        OSError: when the file cannot be opened for another reason.
    """
    refused = InputError(f"{path} is a link or no regular file, and is not written to: remove it.")
    try:
        # With O_NONBLOCK, opening a pipe without a reader does not wait.
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
            raise refused from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise refused
    return handle


def make_folder(path: str | Path) -> None:
    """Create a folder if it is missing; refuse a symbolic link, because files would be written outside.

    Raises:
        InputError: when the path is a link or not a folder, or the folder cannot be created.
    """
    path = Path(path)
    if path.is_symlink():
        raise InputError(f"{path} is a link, and nothing is written to where it leads: remove it.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def sweep(path: str | Path) -> None:
    """Remove temporary files of `atomic` that killed processes left; call it only if no process writes ``path``."""
    path = Path(path)
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            if entry.name != path.name and replaced_name(entry.name) == path.name:
                Path(entry).unlink(missing_ok=True)


def replaced_name(name: str) -> str:
    """Return the name of the file that a temporary file of `atomic` would have replaced, or else ``name`` itself."""
    made = _TEMPORARY.fullmatch(name)
    return made[1] + (made[2] or "") if made else name


def date_back(folder: str | Path) -> None:
    """Set modification times in the future, of all files below a folder, to now.

    A clock that was ahead leaves such times. Snakemake would then rerun the jobs that use these files, because their
    outputs are older.
    """
    now = time.time()
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with suppress(OSError):
                if os.stat(path, follow_symlinks=False).st_mtime > now:
                    os.utime(path, (now, now), follow_symlinks=False)
