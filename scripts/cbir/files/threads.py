"""Process blocks of rows with the threads of the job."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

_LOCK = Lock()
# Whether this thread, or the thread that started it, is in `shared`.
_IN_SHARED: ContextVar[bool] = ContextVar("in_shared", default=False)


def count() -> int:
    """Return the number of threads of the BLAS library; `cbir.workflow.job` limits it to the threads of the job."""
    return max((library["num_threads"] for library in _libraries().info()), default=1)


@contextmanager
def shared() -> Iterator[int]:
    """Yield `count`, and limit the BLAS library to one thread per call in the block.

    The caller starts as many threads as are yielded. Threads of the BLAS library would compete with them, because they
    spin for a while after each call. In a nested block all threads are in use, so it yields 1.
    """
    if _IN_SHARED.get():
        yield 1
        return
    with _LOCK:
        available = count()
        token = _IN_SHARED.set(True)
        try:
            with _libraries().limit(limits=1):
                yield available
        finally:
            _IN_SHARED.reset(token)


def in_blocks(rows: int, step: int, fill: Callable[[slice], None], least: int = 1, parts: int | None = None) -> None:
    """Call ``fill`` for blocks of rows, on up to `count` threads.

    Args:
        rows: number of rows.
        step: largest number of rows in a block. Blocks end at multiples of it, so that threads finish their blocks at
            different times and rarely wait for each other in code that only one thread can run at a time.
        fill: processes the rows of a slice; it must be thread-safe for different slices.
        least: smallest number of rows per thread.
        parts: number of threads; None for `count`.

    Raises:
        Exception: the first one that ``fill`` raises.
    """
    most = min(rows // least, -(-rows // step))
    # `count` would take longer than the work on a small block.
    parts = min(parts or count(), most) if most > 1 else 1
    share = max(1, -(-rows // parts))
    firsts = range(0, rows, share)

    def run(first: int) -> None:
        last = min(first + share, rows)
        for start in range(first - first % step, last, step):
            fill(slice(max(start, first), min(start + step, last)))

    if parts == 1:
        run(0)
        return
    with ThreadPoolExecutor(parts) as pool:
        contexts = [copy_context() for _ in firsts]
        # `list` iterates over the results, which raises exceptions of the threads here.
        list(pool.map(lambda context, first: context.run(run, first), contexts, firsts))


@cache
def _libraries() -> ThreadpoolController:
    # Cached, because finding the libraries is slow.
    return ThreadpoolController().select(user_api="blas")
