"""The results that pages show, which are read again after a run has replaced them."""

import logging
import threading
import time
from dataclasses import dataclass

from cbir.files.errors import InputError
from cbir.web.library import Library
from cbir.web.outside import OutsideImages
from cbir.web.searches import Searches

log = logging.getLogger("cbir")

# Seconds for which pages state that the results were replaced.
_NOTICE = 600
# Seconds after which results that could not be read are tried again.
_RETRY = 2


@dataclass(frozen=True)
class Held:
    """The state of the results that one request works with.

    Attributes:
        library: the results of a run.
        outside: the images from outside the collection.
        searches: the searches in these results.
        notice: a sentence about the results to show on pages; may be empty.
        fresh: whether this request is the first one with these results.
    """

    library: Library
    outside: OutsideImages
    searches: Searches
    notice: str = ""
    fresh: bool = False


class Current:
    """Holds the results, and gives each request one consistent state of them."""

    def __init__(self, library: Library) -> None:
        """Start with ``library``."""
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
            if not current and now - self._failed > _RETRY:
                try:
                    library = Library(self._library.files.folder)
                except InputError as error:
                    # A run has removed some files or not yet replaced all of them.
                    log.info("The results cannot be read again yet: %s", error)
                    self._failed = now
                else:
                    log.info("A run has replaced the results; they have been read again.")
                    self._hold(library, OutsideImages(library, self._outside))
                    self._since, current, fresh = now, True, True
            notice = ""
            if not current:
                notice = "A run is changing these results: this page still shows the old ones."
            elif now - self._since < _NOTICE:
                notice = "A run replaced the results a short time ago: this page shows the new ones."
            return Held(self._library, self._outside, self._searches, notice, fresh)
