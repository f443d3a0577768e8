"""Log lines that say how far long work has come.

Not tqdm: it rewrites one line by carriage returns, which a log file keeps as one endless line and a console shared by
jobs that run at once garbles.
"""

import logging
import time

log = logging.getLogger("cbir")


class Progress:
    """Count finished items and log count, rate and remaining time every few seconds.

    Args:
        what: what is counted, in the plural ("images").
        total: how many there are.
        every: seconds between two lines.
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
