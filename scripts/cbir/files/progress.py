"""Log the progress of long work.

This does not use tqdm, which rewrites a line with carriage returns: in a log file that gives one endless line, and on a
console that parallel jobs share, garbled output.
"""

import logging
import time

log = logging.getLogger("cbir")


class Progress:
    """Count finished items and log count, rate and remaining time every few seconds.

    Args:
        what: name of the items, in the plural ("images").
        total: number of items.
        every: seconds between two log lines.
    """

    def __init__(self, what: str, total: int, every: float = 5.0) -> None:
        self.what, self.total, self.every = what, total, every
        self.done = 0
        self.start = self.last = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count ``count`` more items as finished."""
        self.done += count
        now = time.monotonic()
        if now - self.last >= self.every or self.done == self.total:
            self.last = now
            rate = self.done / max(now - self.start, 1e-9)
            left = (self.total - self.done) / rate
            log.info("%s: %d of %d, %.0f a second, %.0f s left", self.what, self.done, self.total, rate, left)
