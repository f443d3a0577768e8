"""Shared code of the benchmarks: vectors like a network's, and candidates that take turns in separate processes.

In a shared process, the threads of one library would keep spinning while the next one is measured.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VALUES, CATEGORIES = 1280, 45
THREADS = len(os.sched_getaffinity(0))

Work = Callable[[], object]


def vectors(
    images: int, seed: int, values: int = VALUES, block: int = 10_000
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return features (images, values) and labels (images,); the categories do not depend on the seed.

    Like MobileNetV2's features of photographs, they are not negative, a third of them is 0, and an image's nearest
    neighbour is about half as far away as most images are.
    """
    centres = np.random.default_rng(99).gamma(0.6, 0.7, (CATEGORIES, values)).astype(np.float32)
    random = np.random.default_rng(seed)
    label = np.arange(images) % CATEGORIES
    features = np.empty((images, values), np.float32)
    for start in range(0, images, block):
        rows = features[start : start + block]
        strength = random.standard_gamma(1.5, (len(rows), 1)).astype(np.float32) ** np.float32(0.3)
        noise = random.standard_normal(rows.shape, dtype=np.float32) * np.float32(0.4)
        np.maximum(centres[label[start : start + block]] * strength + noise - np.float32(0.1), 0, out=rows)
    return features, label


@dataclass(frozen=True)
class Measured:
    """Medians over a candidate's turns: wall and processor time in seconds, peak memory in MB including the start.

    ``turns`` are the wall times of the turns in order, for ratios within a round.
    """

    seconds: float
    processor: float
    peak_mb: float
    turns: tuple[float, ...]


def measure(peers: dict[str, tuple[Callable[..., Work], tuple[Any, ...]]], repeats: int) -> dict[str, Measured]:
    """Let peers take turns and return their medians.

    Args:
        peers: for each name a function and its arguments. The function prepares everything and returns the work to
            measure.
        repeats: how many turns each has, after a first one that does not count.
    """
    # What libraries read when they load; all have the same number of threads.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS))
    spawn = multiprocessing.get_context("spawn")
    running: dict[str, tuple[Any, Any]] = {}
    turns: dict[str, list[tuple[float, float, float]]] = {name: [] for name in peers}
    try:
        for name, (prepare, arguments) in peers.items():
            here, there = spawn.Pipe()
            # Not a daemon process, in which scikit-learn uses only one thread.
            running[name] = spawn.Process(target=_serve, args=(there, prepare, arguments)), here
            running[name][0].start()
            there.close()
            # Waits until it is ready before the next one starts, because the preparation uses all processors.
            here.recv()
        for _ in range(repeats):
            for name, (_, pipe) in running.items():
                pipe.send(True)
                turns[name].append(pipe.recv())
    finally:
        for process, pipe in running.values():
            pipe.close()
            process.join()
    return {
        name: Measured(*map(statistics.median, zip(*rows, strict=True)), turns=tuple(row[0] for row in rows))
        for name, rows in turns.items()
    }


def _serve(pipe: Any, prepare: Callable[..., Work], arguments: tuple[Any, ...]) -> None:
    work = prepare(*arguments)
    work()
    pipe.send(True)
    while _asked(pipe):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        spent = time.perf_counter() - clock, time.process_time() - processor
        pipe.send((*spent, peak_mb()))


def peak_mb() -> float:
    """Return the peak memory of this process in MB; `resource.getrusage` would include that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def _asked(pipe: Any) -> bool:
    """Wait for the next turn; return False if the pipe was closed because there is none."""
    try:
        return bool(pipe.recv())
    except EOFError:
        return False


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    print(f"| {' | '.join(head)} |\n|{' --- |' + ' ---: |' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)
