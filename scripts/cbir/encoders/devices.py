"""The GPUs that may be used, the one that a job runs on, and the number of threads."""

import contextlib
import errno
import fcntl
import itertools
import logging
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from cbir.files.errors import InputError

log = logging.getLogger("cbir")

# Descriptors of locks, open until the process ends: so long it has the GPU for itself.
_claims: list[int] = []


def visible() -> list[str]:
    """Return the GPUs that may be used, as CUDA names them.

    Where a scheduler or a person has set CUDA_VISIBLE_DEVICES, those are all there are; else all that nvidia-smi lists.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        # CUDA ignores what follows an invalid name, and -1 and NoDevFiles are the usual ways to say none.
        names = (name.strip() for name in given.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    return outcome.stdout.split() if outcome.returncode == 0 else []


def take(count: int) -> None:
    """Let this process use ``count`` GPUs (0 or 1) and no other, and tell the log where it runs.

    Must be called before the first operation of TensorFlow. Among several visible GPUs it takes one that no other job
    of this user on this machine has taken. The GPU's memory is taken as it is needed, not all at once.

    Raises:
        InputError: when one must be chosen among several, and the folder of `_open_locks` cannot be used.
    """
    names = visible()
    chosen = [_claim(names)] if count and names else []
    # Libraries that are loaded later see no other either.
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen) if chosen else "-1"
    # Read when JAX first looks for devices, which is later than its import.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    found = _set_up() if chosen else []
    if found:
        log.info("runs on GPU %s: %s", chosen[0], ", ".join(found))
    elif chosen:
        log.warning("GPU %s was given, but Keras finds none (see envs/tensorflow-gpu.yaml): runs on the CPU", chosen[0])
    else:
        log.info("no GPU: runs on the CPU")


def limit_threads(threads: int, calls: int = 1) -> None:
    """Let TensorFlow use so many threads; works only before its first operation runs.

    Args:
        threads: that share the work of one operation.
        calls: of a network that run at the same time, called from threads of their own.
    """
    # Here, so that a job that asks for GPUs alone waits for no import.
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(calls)


def _claim(names: list[str], wait: float = 1.0) -> str:
    """Return a GPU that is this process's own until it ends; wait for one where all are taken.

    A GPU is taken by a lock (flock) on an empty file named after it, which the kernel releases with the process.
    """
    if len(names) == 1:
        return names[0]
    folder = _lock_folder()
    try:
        locks = _open_locks(folder)
        while True:
            for name in names:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
                handle = os.open(name.replace("/", "_"), flags, 0o600, dir_fd=locks)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(handle)
                else:
                    os.close(locks)
                    _claims.append(handle)
                    return name
            time.sleep(wait)
    except OSError as error:
        raise InputError(
            f"The folder {folder}, by which jobs share this machine's GPUs, cannot be used ({error.strerror}): mend or "
            "remove it, name another place by XDG_CACHE_HOME, or name one GPU by CUDA_VISIBLE_DEVICES."
        ) from error


def _lock_folder() -> Path:
    """Return the folder of the locks: of this machine, because several may share the home folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # As the XDG specification has it, a relative path is no path.
    base = Path(cache) if cache.startswith("/") else Path(os.path.expanduser("~"), ".cache")
    return base / f"cbir-gpus-{socket.gethostname()}"


def _open_locks(folder: Path) -> int:
    """Open the folder of the locks, which is made where it is missing, and return its descriptor.

    Raises:
        OSError: when the folder cannot be made or opened, is a link, or others could put files there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    found = os.fstat(handle)
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(handle)
        raise PermissionError(errno.EPERM, "it is not yours alone")
    return handle


def _set_up() -> list[str]:
    """Return what the backend calls the GPU that it may use."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if backend == "jax":
        try:
            return [str(device) for device in keras.distribution.list_devices("gpu")]
        # JAX has no empty list for a kind of device that is not there.
        except RuntimeError:
            return []
    import tensorflow as tf

    found: list[Any] = tf.config.list_physical_devices("GPU")
    for device in found:
        tf.config.experimental.set_memory_growth(device, True)
    return [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in found]
