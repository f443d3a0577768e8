"""Blocks of rows on as many threads as the job has."""

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
    """Yield `count`, and have each call of linear algebra take one thread meanwhile, because as many call it.

    Threads of the linear algebra's own would go on spinning for a while after each call and hold up all others. Within
    another ``shared`` all threads are taken, so this yields 1.
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
        step: rows of a block, at most. Blocks end at multiples of it, so that threads end theirs at different times and
            seldom wait for what one at a time can do.
        fill: works on a block; different blocks must not touch the same data.
        least: fewer rows for each thread than this are not worth starting it.
        parts: how many threads, if not `count`.

    Raises:
        Exception: the first that ``fill`` raises.
    """
    most = min(rows // least, -(-rows // step))
    # Asking for the count takes longer than a small block.
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
        # The list raises what a thread raised.
        list(pool.map(lambda context, first: context.run(run, first), contexts, firsts))


@cache
def _libraries() -> ThreadpoolController:
    # Looking for the libraries takes longer than asking them.
    return ThreadpoolController().select(user_api="blas")
