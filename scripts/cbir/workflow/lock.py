"""Find out whether a run is still at work in a folder, or was killed there.

Snakemake's lock is a file, which a killed run leaves behind. The kernel's lock (flock) ends with its process.
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
    """Take a shared lock on the working folder until this process ends. Every run and every job takes one."""
    # A job without a run makes no lock.
    with suppress(InputError):
        if not _held:
            _lock(_open(os.O_RDWR), fcntl.LOCK_SH)


def release_abandoned() -> bool:
    """Remove the lock that Snakemake left in the working folder when it was killed, and hold the folder as `hold` does.

    The lock stays if any process of this machine holds the folder, or if it may be that of another machine, whose
    processes cannot be seen from here.

    Returns:
        Whether there was one to remove.

    Raises:
        InputError: when the folder cannot be written, or a link stands in the place of `run.lock`.
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
    # Some network file systems do not support flock; Snakemake's lock then stays.
    except OSError:
        return False
    return True
