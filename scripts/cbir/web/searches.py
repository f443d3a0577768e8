"""Compute the results of each round of a search from the state in its address."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import members
from cbir.evaluation.calibration import Novelty
from cbir.feedback.ranking import Rows
from cbir.feedback.refinement import Refinement, Round
from cbir.feedback.rounds import RoundResult, Search
from cbir.files.errors import InputError
from cbir.retrieval.exact import Features, Vector, squared_distances
from cbir.retrieval.outside import by_angle
from cbir.web.library import Library, Method
from cbir.web.outside import OutsideImages, Upload
from cbir.web.state import IRRELEVANT, RELEVANT, State, verdicts

# How many rounds are cached, for a step back or one more flag.
_KEPT = 128
# If the first results of an index are filtered out, it is asked for so many; then all images are compared.
_MORE = (512, 4096)
# How many nearest images vote on the category of an unknown image.
_VOTERS = 10
# An unknown image is far if its nearest image is further away than those of this share of known images.
_FAR = 0.95


@dataclass(frozen=True, eq=False)
class Shown:
    """The results of a round that are shown: the first k that pass the filters, one of each group of near-duplicates.

    Attributes:
        result: the round.
        rows: gallery rows of the results shown, closest first.
        distances: their distances to the query vector, float64.
        scores: the strategy's scores, float64.
        copies: how many near-duplicates of each result are not shown.
    """

    result: RoundResult
    rows: Rows
    distances: Vector
    scores: Vector
    copies: list[int]


@dataclass(frozen=True)
class Answer:
    """What the nearest images show about an unknown image.

    Attributes:
        asked: how many nearest images were used.
        votes: the number of these images of each category, most frequent first; of equal ones, the nearest first.
        nearest: the distance to the nearest image.
        farther: the share of known images whose nearest image is closer, see `Method.usual`.
        far: whether the distance is so large that the gallery may hold nothing like the image.
    """

    asked: int
    votes: list[tuple[str, int]]
    nearest: float
    farther: float
    far: bool


class Searches:
    """Computes the rounds of a search from its state, and caches those of recent states."""

    def __init__(self, library: Library, outside: OutsideImages) -> None:
        """Search in ``library``, with its images or those of ``outside`` as queries."""
        self._library = library
        self._outside = outside
        self._round = lru_cache(_KEPT)(self._search)
        self._new = lru_cache(_KEPT)(self._novelty)

    def ready(self, state: State) -> bool:
        """Return whether the query's features are available; an image from outside must be encoded first.

        Raises:
            InputError: when there is no such image, or it cannot be encoded.
        """
        if state.query is not None and state.query not in self._library.methods[state.method].vectors:
            raise InputError(f"The results have no features of the image {state.query!r}: choose another one.")
        digests = [digest for digest in (self.digest(state), *(ref[1:] for ref in state.also)) if len(digest) == 64]
        # A list, not a generator, so that all images are submitted to the encoder at once.
        vectors = [self._outside.vector(state.method, digest) for digest in digests]
        if state.text:
            vectors.append(self._outside.text_vector(state.method, state.text))
        return all(vector is not None for vector in vectors)

    def digest(self, state: State) -> str:
        """Return the SHA-256 of the query if it is an image from outside or a part of any image.

        Returns:
            "" for a whole image of the collection and for a text.

        Raises:
            InputError: when the image of a part is no longer available.
        """
        if state.box is None:
            return state.upload or ""
        if state.query is None:
            whole = self._outside.get(state.upload or "")
            return self._outside.part(whole.data, whole.name, state.box)
        image = self._library.images[state.query]
        return self._outside.part(self._library.read(image), image.name, state.box)

    def upload(self, state: State) -> Upload | None:
        """Return the query image as in `digest`; None for a whole image of the collection."""
        digest = self.digest(state)
        return self._outside.get(digest) if digest else None

    def results(self, state: State) -> list[RoundResult]:
        """Return the results of all rounds of a state.

        Raises:
            InputError: when the gallery has fewer than k images, or a flagged image is not in it.
        """
        query = self._key(state)
        return [self._round(query, state.flags[:number]) for number in range(len(state.flags))]

    def _held(self, state: State) -> Method:
        """Return the method that a search uses, as what is looked for is compared with it."""
        held = self._library.methods[state.method]
        return held.for_texts if state.text else held

    def shown(self, state: State) -> Shown:
        """Return the results to show of the current round; errors as in `results`."""
        result = self.results(state)[state.at]
        held = self._held(state)
        rows = self._pick(held, result, state)
        features = held.gallery.features[rows]
        counts = np.zeros(len(rows), np.int64) if state.copies else held.copies[rows]
        return Shown(
            result,
            rows,
            np.sqrt(squared_distances(features, result.vector)),
            result.ranking.score(rows),
            # Not counting the query itself, which is never a result.
            [
                int(count) - (count > 0 and self._is_of_query(held, row, state))
                for count, row in zip(counts, rows, strict=True)
            ],
        )

    def _is_of_query(self, held: Method, row: int, state: State) -> bool:
        own = held.gallery.row_of.get(state.query or "")
        return own is not None and bool(held.groups[own] == held.groups[row])

    def _pick(self, held: Method, result: RoundResult, state: State) -> Rows:
        admitted = np.ones(len(held.gallery.image_ids), np.bool_)
        for column, value in state.filters:
            if column not in held.columns:
                raise InputError(f"The images have no column {column!r} to filter by: remove this filter.")
            same = held.gallery.of_category(value) if column == "category" else held.columns[column] == value
            admitted &= same
        picked: list[int] = []
        for order in self._orders(held, result, state):
            picked = self._first(held, result, state, order[admitted[order]])
            if len(picked) == state.k:
                break
        return np.array(picked, np.intp)

    def _orders(self, held: Method, result: RoundResult, state: State) -> Iterator[Rows]:
        """Yield the order of a round; if an index found only its beginning, then longer parts, at last all of it."""
        yield result.order
        index = held.gallery.index
        if index is None or result.number > 0:
            return
        own = held.gallery.row_of.get(state.query or "", -1) if state.box is None else -1
        for count in _MORE:
            if count < index.rows:
                (distances,), (rows,) = index.search(result.vector[None], count)
                yield rows[rows != own]
                if state.within is not None and distances[-1] > state.within:
                    return
        yield result.ranking.order[result.ranking.order != own]

    def _first(self, held: Method, result: RoundResult, state: State, order: Rows) -> list[int]:
        """Return the first k rows of an order within the largest distance, one of each group of near-duplicates."""
        picked: list[int] = []
        groups = set[int]()
        # In blocks, because the first one usually has enough rows.
        for start in range(0, len(order), block := max(4 * state.k, 256)):
            rows = order[start : start + block]
            if state.within is not None:
                rows = rows[squared_distances(held.gallery.features[rows], result.vector) <= state.within**2]
            for row in rows.tolist():
                if not state.copies and held.groups[row] in groups:
                    continue
                groups.add(int(held.groups[row]))
                picked.append(row)
                if len(picked) == state.k:
                    return picked
        return picked

    def answer(self, state: State) -> Answer:
        """Return what the nearest images, without any filter, show about the query; errors as in `results`."""
        held = self._library.methods[state.method]
        result = self._round(self._key(state), ())
        asked = replace(state.unfiltered(), k=min(_VOTERS, len(held.gallery.image_ids)), copies=False)
        rows = self._pick(held, result, asked)
        found = held.gallery.categories[rows].tolist()
        votes = Counter(name for category in found for name in members(category)).most_common()
        nearest = float(np.sqrt(squared_distances(held.gallery.features[rows[:1]], result.vector))[0])
        farther = float(np.searchsorted(held.usual, nearest) / len(held.usual))
        novelty = self.novelty(state)
        far = farther >= _FAR if novelty is None else novelty.is_new
        return Answer(len(rows), votes, nearest, farther, far)

    def _key(self, state: State) -> State:
        """Return the state with only those values that, besides the flags, determine its rankings."""
        asked = state.method, state.query, state.upload, state.k, state.strategy
        return State(*asked, box=state.box, also=state.also, text=state.text)

    # The one place where the gallery is searched.
    def _search(self, asked: State, flags: tuple[str, ...]) -> RoundResult:
        held = self._held(asked)
        category = self._library.category(asked)
        query = asked.query if asked.box is None else None
        vector = self._vector(asked, held)
        search = Search(
            *(held.gallery, vector, asked.k, asked.strategy, self._library.weights, query, category, "The search"),
            judged_first=self._library.judged_first,
        )
        if not flags:
            return search.start()
        return search.judge(self._round(asked, flags[:-1]), self.judgements(flags[-1]))

    def _vector(self, asked: State, held: Method) -> Features:
        """Return the query vector; several query images are combined by Rocchio's formula without its first term.

        That is the mean of the images that results should resemble, minus gamma times the mean of the others.
        """
        digest = self.digest(asked)
        first: Features
        if asked.text:
            first = self._patiently(self._outside.text_vector(asked.method, asked.text, 60))
        else:
            first = self._outside_vector(asked.method, digest) if digest else held.vectors[asked.query or ""]
        if not asked.also:
            return first
        like, unlike = [first], list[Features]()
        for ref in asked.also:
            vector = self._also_vector(ref[1:], asked.method, held)
            if asked.text:
                vector = by_angle(vector[None], held.about)[0]
            (like if ref[0] == RELEVANT else unlike).append(vector)
        mean: Features = np.stack(like).mean(axis=0, dtype=np.float64)
        if unlike:
            mean = mean - self._library.weights.gamma * np.stack(unlike).mean(axis=0, dtype=np.float64)
        return mean

    def _also_vector(self, ref: str, method: str, held: Method) -> NDArray[np.float32]:
        if len(ref) == 64:
            return self._outside_vector(method, ref)
        image_id = self._library.by_key.get(ref, "")
        if image_id not in held.vectors:
            raise InputError("The results have no features of one of the query images: leave it out.")
        return held.vectors[image_id]

    def _outside_vector(self, method: str, digest: str) -> NDArray[np.float32]:
        return self._patiently(self._outside.vector(method, digest, 60))

    @staticmethod
    def _patiently(vector: NDArray[np.float32] | None) -> NDArray[np.float32]:
        if vector is None:
            raise InputError("The network is still encoding the image: try again in a minute.")
        return vector

    def novelty(self, state: State) -> Novelty | None:
        """Return whether anything like the query is in the gallery; None for a text, and if the run has no
        threshold of novelty.

        Raises:
            InputError: when there is no such image, or it cannot be encoded.
        """
        return self._new(self._key(state))

    def _novelty(self, asked: State) -> Novelty | None:
        held = self._held(asked)
        # Only a single whole image can be in the gallery itself and must not be compared with itself.
        own = asked.query if asked.box is None and not asked.also else None
        return held.novelty(self._vector(asked, held), own)

    def refinement(self, state: State, query: str, source: str) -> Refinement:
        """Return the judgements of all rounds, by image_id, including those of the last round if it has any.

        Args:
            state: the search.
            query: the ``query`` of the refinement.
            source: the refinement's name in messages.

        Raises:
            InputError: when nothing was judged, when the search begins with a text or several images, or as in
                `results`.
        """
        if state.text:
            raise InputError("A refinement has a query image: a search for a text cannot be saved.")
        if state.also:
            raise InputError("A refinement has only one query image: leave the others out, or flag them, to save it.")
        given = state.flags if state.flags[-1] else state.flags[:-1]
        if not any(given):
            raise InputError("There is nothing to save yet: flag at least one image.")
        # Computes the ranking after the last judgements, to find errors that the workflow would find.
        self.results(replace(state, flags=(*given, "")))
        # By image_id, not by rank: a person can read it, and it does not depend on the ranking.
        rounds = tuple(map(self.judgements, given))
        asked = query, state.method, state.k, state.strategy, self._library.weights, rounds, source
        return Refinement(*asked, self._library.judged_first)

    def judgements(self, flags: str) -> Round:
        """Return the judgements of a round's flags, by image_id.

        Raises:
            InputError: when an image is not in the collection.
        """
        image_ids: dict[str, list[str]] = {RELEVANT: [], IRRELEVANT: []}
        for image, verdict in verdicts(flags).items():
            if image not in self._library.by_key:
                raise InputError("A flagged image is no longer in the collection: start again from the query.")
            image_ids[verdict].append(self._library.by_key[image])
        return Round(tuple(sorted(image_ids[RELEVANT])), tuple(sorted(image_ids[IRRELEVANT])))
