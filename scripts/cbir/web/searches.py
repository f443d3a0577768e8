"""The results of every round of a search, from its address."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.calibration import Novelty
from cbir.feedback.refinement import Refinement, Round
from cbir.feedback.rounds import RoundResult, Search
from cbir.files.errors import InputError
from cbir.web.library import Library
from cbir.web.outside import OutsideImages
from cbir.web.state import IRRELEVANT, RELEVANT, State, verdicts

# Rounds of recent searches are kept for a step back or one more flag.
_KEPT = 128


class Searches:
    """Computes the rounds of a search from its state; those of recent states are kept."""

    def __init__(self, library: Library, outside: OutsideImages) -> None:
        """Search in ``library`` for its own images and for those of ``outside``."""
        self._library = library
        self._outside = outside
        self._round = lru_cache(_KEPT)(self._search)
        self._new = lru_cache(_KEPT)(self._novelty)

    def ready(self, state: State) -> bool:
        """Tell whether the query's features are there; only those of an image from outside take time.

        Raises:
            InputError: when there is no such image, or its features cannot be made.
        """
        if state.query is not None:
            if state.query not in self._library.methods[state.method].vectors:
                raise InputError(f"No features of the image {state.query!r} are in the results: choose another one.")
            return True
        return self._outside.vector(state.method, state.upload or "") is not None

    def results(self, state: State) -> list[RoundResult]:
        """Return the results of all rounds reached.

        Raises:
            InputError: when the gallery has fewer than k images, or a flagged image is not in it.
        """
        query = (state.method, state.query, state.upload, state.k, state.strategy)
        return [self._round(*query, state.flags[:number]) for number in range(len(state.flags))]

    def _search(
        self, method: str, query: str | None, upload: str | None, k: int, strategy: str, flags: tuple[str, ...]
    ) -> RoundResult:
        held, vector = self._library.methods[method], self._vector(method, query, upload)
        category = None if query is None else self._library.images[query].category or None
        search = Search(
            *(held.gallery, vector, k, strategy, self._library.weights, query, category, "The search"),
            judged_first=self._library.judged_first,
        )
        if not flags:
            return search.start()
        previous = self._round(method, query, upload, k, strategy, flags[:-1])
        return search.judge(previous, self.judgements(flags[-1]))

    def novelty(self, state: State) -> Novelty | None:
        """Tell whether anything like the query is in the gallery; None where the run has learned no threshold.

        Raises:
            InputError: when there is no such image, or its features cannot be made.
        """
        return self._new(state.method, state.query, state.upload)

    def _novelty(self, method: str, query: str | None, upload: str | None) -> Novelty | None:
        return self._library.methods[method].novelty(self._vector(method, query, upload), query)

    def _vector(self, method: str, query: str | None, upload: str | None) -> NDArray[np.float32]:
        held = self._library.methods[method].vectors
        vector = self._outside.vector(method, upload or "", 60) if query is None else held[query]
        if vector is None:
            raise InputError("The network is still at work: try again in a minute.")
        return vector

    def refinement(self, state: State, query: str, source: str) -> Refinement:
        """Return what has been judged, by image_id; the flags of the last round count if there are any.

        Args:
            state: the search.
            query: what the refinement calls its query.
            source: what messages call the refinement.

        Raises:
            InputError: when nothing has been judged, or what `results` raises.
        """
        given = state.flags if state.flags[-1] else state.flags[:-1]
        if not any(given):
            raise InputError("There is nothing to save yet: flag at least one image.")
        # Ranked once more, because the workflow would refuse judgements that cannot be ranked.
        self.results(replace(state, flags=(*given, "")))
        # Image_ids, not ranks: a person can read them, and they name the same image whatever the ranking.
        rounds = tuple(map(self.judgements, given))
        asked = query, state.method, state.k, state.strategy, self._library.weights, rounds, source
        return Refinement(*asked, self._library.judged_first)

    def judgements(self, flags: str) -> Round:
        """Return a round's flags as the image_ids of the flagged images.

        Raises:
            InputError: when an image is not in the collection.
        """
        image_ids: dict[str, list[str]] = {RELEVANT: [], IRRELEVANT: []}
        for image, verdict in verdicts(flags).items():
            if image not in self._library.by_key:
                raise InputError("A flagged image is no longer in the collection: start again from the query.")
            image_ids[verdict].append(self._library.by_key[image])
        return Round(tuple(sorted(image_ids[RELEVANT])), tuple(sorted(image_ids[IRRELEVANT])))
