import threading

import pytest
from threadpoolctl import threadpool_limits

from cbir.files import threads


def test_blocks_cover_all_rows_once() -> None:
    for rows, step, least in ((0, 3, 1), (1, 3, 1), (10, 3, 1), (10, 3, 100), (64, 64, 1)):
        seen: list[int] = []
        threads.in_blocks(rows, step, lambda block, seen=seen: seen.extend(range(block.start, block.stop)), least)
        assert sorted(seen) == list(range(rows))


def test_blocks_end_at_multiples_of_their_length() -> None:
    seen: list[tuple[int, int]] = []
    threads.in_blocks(11, 4, lambda block: seen.append((block.start, block.stop)), parts=2)
    assert sorted(seen) == [(0, 4), (4, 6), (6, 8), (8, 11)]


@pytest.mark.parametrize("limit", [1, 2])
def test_as_many_threads_as_the_job_has(limit: int) -> None:
    with threadpool_limits(limit):
        assert threads.count() == limit
        meeting = threading.Barrier(limit)
        # Each thread waits for the others, so fewer threads would never end.
        threads.in_blocks(limit, 1, lambda block: meeting.wait(60) and None)


def test_an_error_in_a_thread_is_raised() -> None:
    def fill(block: slice) -> None:
        raise ValueError(f"row {block.start}")

    with threadpool_limits(2), pytest.raises(ValueError, match="row 0"):
        threads.in_blocks(2, 1, fill)


def test_linear_algebra_uses_all_threads_again_afterwards() -> None:
    with threadpool_limits(2):
        with threads.shared() as parts:
            assert (parts, threads.count()) == (2, 1)
        assert threads.count() == 2


def test_shared_threads_can_be_requested_within_their_work() -> None:
    found: list[int] = []

    def fill(block: slice) -> None:
        with threads.shared() as parts:
            found.append(parts)

    with threadpool_limits(2):
        with threads.shared() as parts:
            threads.in_blocks(2, 1, fill, parts=2)
            fill(slice(0, 1))
        assert (parts, found) == (2, [1, 1, 1])
        with threads.shared() as parts:
            assert parts == 2
