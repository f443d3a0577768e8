"""Detect whether a run is active in a folder, and remove the lock of a killed one.

Snakemake locks a folder by a file, which remains when it is killed. Therefore runs and jobs also hold a lock of the
kernel (flock), which is released when the process ends.
"""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from cbir.files.atomic import open_file
from cbir.files.errors import InputError

FOLDER = ".snakemake"
_held: list[int] = []


def hold() -> None:
    """Hold a shared lock on the working folder until this process ends; every run and every job does."""
    # Outside a run there is no lock file.
    with suppress(InputError):
        if not _held:
            _lock(_open(os.O_RDWR), fcntl.LOCK_SH)


def release_abandoned() -> bool:
    """Remove the lock of a killed Snakemake in the working folder, and hold a shared lock as `hold` does.

    Snakemake's lock is kept if a process on this machine holds the folder, or if the last run was on another machine,
    whose processes are unknown.

    Returns:
        Whether a lock was removed.

    Raises:
        InputError: when the folder cannot be written, or ``run.lock`` is a link.
    """
    if _held:
        return False
    handle = _open(os.O_RDWR | os.O_CREAT)
    here = socket.gethostname().encode()
    alone = _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    locks = sorted(Path(FOLDER, "locks").glob("*.lock"))
    abandoned = bool(alone and locks and os.pread(handle, 1000, 0) == here)
    if abandoned:
        for path in locks:
            path.unlink(missing_ok=True)
    if alone and (abandoned or not locks):
        os.truncate(handle, 0)
        os.pwrite(handle, here, 0)
    _lock(handle, fcntl.LOCK_SH)
    return abandoned


def _open(flags: int) -> int:
    try:
        if flags & os.O_CREAT:
            Path(FOLDER).mkdir(exist_ok=True)
        handle = open_file(Path(FOLDER, "run.lock"), flags)
    except OSError as error:
        raise InputError(
            f"The folder {Path.cwd()} cannot be written ({error.strerror}): allow writing there, or name another "
            "one by --directory."
        ) from None
    _held.append(handle)
    return handle


def _lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind)
    # Some network file systems do not support flock. Snakemake's lock is then kept.
    except OSError:
        return False
    return True
