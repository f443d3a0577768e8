"""Choose the GPU of a job, and set the number of threads."""

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

# Descriptors of the locks of GPUs, which stay open, and thus locked, until the process ends.
_claims: list[int] = []


def visible() -> list[str]:
    """Return the GPUs that may be used, as CUDA names them.

    These are the GPUs of CUDA_VISIBLE_DEVICES if a scheduler or a person has set it, otherwise all that nvidia-smi
    lists.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        # CUDA ignores all names after an invalid one. -1 and NoDevFiles are commonly used for "no GPU".
        names = (name.strip() for name in given.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    return outcome.stdout.split() if outcome.returncode == 0 else []


def take(count: int) -> None:
    """Restrict this process to ``count`` GPUs (0 or 1), and log the device that it runs on.

    Must be called before the first operation of TensorFlow. Of several visible GPUs, one is taken that no other job of
    this user on this machine uses. GPU memory is allocated as needed instead of all at once.

    Raises:
        InputError: when there are several GPUs and the folder of `_lock_folder` cannot be used.
    """
    names = visible()
    chosen = [_claim(names)] if count and names else []
    # Also hides the other GPUs from libraries that are loaded later.
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen) if chosen else "-1"
    # JAX reads it when it first looks for devices, not when it is imported.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    found = _set_up() if chosen else []
    if found:
        log.info("runs on GPU %s: %s", chosen[0], ", ".join(found))
    elif chosen:
        log.warning("GPU %s was given, but Keras finds none (see envs/tensorflow-gpu.yaml): runs on the CPU", chosen[0])
    else:
        log.info("no GPU: runs on the CPU")


def limit_threads(threads: int, calls: int = 1) -> None:
    """Set the number of TensorFlow's threads, which must be done before its first operation runs.

    Args:
        threads: number of threads that compute one operation.
        calls: number of calls of a network at the same time.
    """
    # Imported here, because it takes seconds and `visible` does not need it.
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(calls)


def _claim(names: list[str], wait: float = 1.0) -> str:
    """Return a GPU that no other job uses until this process ends; wait while all are in use.

    A job locks (flock) an empty file named after the GPU. The kernel releases the lock when the process ends.

    Args:
        names: the visible GPUs, at least one.
        wait: seconds between two attempts.
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
    """Return the folder of the locks, which has the name of the machine because machines may share a home folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG Base Directory Specification says that relative paths must be ignored.
    base = Path(cache) if cache.startswith("/") else Path(os.path.expanduser("~"), ".cache")
    return base / f"cbir-gpus-{socket.gethostname()}"


def _open_locks(folder: Path) -> int:
    """Create the folder of the locks if it is missing, and return its descriptor.

    Raises:
        OSError: when the folder cannot be created or opened, is a link, or other users can write to it.
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
    """Prepare Keras's backend for the GPU, and return its name for each GPU that it finds."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if backend == "jax":
        try:
            return [str(device) for device in keras.distribution.list_devices("gpu")]
        # JAX raises an error instead of returning an empty list.
        except RuntimeError:
            return []
    import tensorflow as tf

    found: list[Any] = tf.config.list_physical_devices("GPU")
    for device in found:
        tf.config.experimental.set_memory_growth(device, True)
    return [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in found]
