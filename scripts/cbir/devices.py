"""Which GPUs this machine has for us, which one a job runs on, and how many threads."""

import fcntl
import itertools
import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any

log = logging.getLogger("cbir")

# Open for as long as the process lives: that is how long the GPU is its own.
_claims: list[IO[str]] = []


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
    of this machine has taken. The GPU's memory is taken as it is needed, not all at once.
    """
    names = visible()
    chosen = [_claim(names)] if count and names else []
    # Libraries that are loaded later see no other either.
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen) if chosen else "-1"
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


def _claim(names: list[str], folder: str | None = None, wait: float = 1.0) -> str:
    """Return a GPU that is this process's own until it ends; wait for one where all are taken."""
    if len(names) == 1:
        return names[0]
    locks = Path(folder or tempfile.gettempdir()) / f"cbir-gpus-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    while True:
        for name in names:
            stream = (locks / name.replace("/", "_")).open("w")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
            else:
                _claims.append(stream)
                return name
        time.sleep(wait)


def _set_up() -> list[str]:
    """Return what the backend calls the GPU that it was left."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return [str(device) for device in keras.distribution.list_devices("gpu")]
    import tensorflow as tf

    found: list[Any] = tf.config.list_physical_devices("GPU")
    for device in found:
        tf.config.experimental.set_memory_growth(device, True)
    return [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in found]
