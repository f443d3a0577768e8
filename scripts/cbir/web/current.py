"""The results that are shown, read anew when a run has made them anew."""

import logging
import threading
import time
from dataclasses import dataclass

from cbir.files.errors import InputError
from cbir.web.library import Library
from cbir.web.outside import OutsideImages
from cbir.web.searches import Searches

log = logging.getLogger("cbir")

# Seconds for which pages say that the results were made anew, and after which unreadable ones are tried again.
_SAID = 600
_AGAIN = 2


@dataclass(frozen=True)
class Held:
    """A run's results, the images from outside, and the searches of both.

    Attributes:
        library: the results.
        outside: the images.
        searches: the searches.
        notice: what pages say of the results; empty if nothing.
        fresh: whether the request at hand is the first that gets them.
    """

    library: Library
    outside: OutsideImages
    searches: Searches
    notice: str = ""
    fresh: bool = False


class Current:
    """Gives each request the results as they are; one request sees one state of them."""

    def __init__(self, library: Library) -> None:
        """Begin with ``library``."""
        self._lock = threading.Lock()
        self._hold(library, OutsideImages(library))
        self._since = self._failed = float("-inf")

    def _hold(self, library: Library, outside: OutsideImages) -> None:
        self._library, self._outside, self._searches = library, outside, Searches(library, outside)

    def get(self) -> Held:
        """Return the results, read again if a run has replaced them."""
        with self._lock:
            fresh = False
            now = time.monotonic()
            current = self._library.is_current()
            if not current and now - self._failed > _AGAIN:
                try:
                    library = Library(self._library.files.folder)
                except InputError as error:
                    # A run that is at work has removed or half replaced them.
                    log.info("The results cannot be read again yet: %s", error)
                    self._failed = now
                else:
                    log.info("The results were made anew and have been read again.")
                    self._hold(library, OutsideImages(library, self._outside))
                    self._since, current, fresh = now, True, True
            notice = ""
            if not current:
                notice = "A run is at work on these results: this page shows them as they were before."
            elif now - self._since < _SAID:
                notice = "The results were made anew a short time ago: this page shows the new ones."
            return Held(self._library, self._outside, self._searches, notice, fresh)
