"""Work on blocks of rows, on as many threads as the job has."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

_LOCK = Lock()
# Whether this thread, or the one that it works for, is within `shared`.
_IN_SHARED: ContextVar[bool] = ContextVar("in_shared", default=False)


def count() -> int:
    """Return how many threads linear algebra may use; `cbir.workflow.job` sets it to the job's own number."""
    return max((library["num_threads"] for library in _libraries().info()), default=1)


@contextmanager
def shared() -> Iterator[int]:
    """Yield `count`, and limit linear algebra to one thread a call meanwhile, because so many threads will call it.

    The linear algebra library's own threads spin for a while after each call and would slow down all others. Within
    another ``shared`` all threads are in use, so this yields 1.
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
        rows: how many there are.
        step: rows of a block, at most. Blocks end at multiples of it, so that threads finish blocks at different times
            and seldom wait for each other at what only one thread at a time can do.
        fill: works on a block; different blocks must not touch the same data.
        least: rows for which it is worth starting a thread; each gets at least as many.
        parts: how many threads, if not `count`.

    Raises:
        Exception: the first that ``fill`` raises.
    """
    most = min(rows // least, -(-rows // step))
    # `count` takes longer than the work on a small block.
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
        # Going through the results raises here what a thread raised.
        list(pool.map(lambda context, first: context.run(run, first), contexts, firsts))


@cache
def _libraries() -> ThreadpoolController:
    # Finding the libraries is slow, and asking them is fast.
    return ThreadpoolController().select(user_api="blas")
