"""Run the rounds of a refinement: rank, take judgements of the results, rank again.

The workflow, the search page and the simulated user all use ``Search``, so they get bit-identical results.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import share
from cbir.feedback.orders import orders
from cbir.feedback.ranking import Near, Ranking, Rows
from cbir.feedback.refinement import Refinement, Round, show
from cbir.feedback.strategies import REGISTRY, Weights
from cbir.files import threads
from cbir.files.errors import InputError
from cbir.retrieval.exact import Features, Vector, squared_distances
from cbir.retrieval.index import Index

_NOTHING = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Gallery:
    """The images that are searched: the train rows of one method's features.

    Attributes:
        features: (n, d) float32 or float64, row i of image i.
        image_ids: n distinct ids.
        categories: n category names.
        index: an approximate index, which finds the results of the plain query; None compares all images. With an
            index, features may be memory-mapped, and are not checked to be finite.

    Raises:
        ValueError: when the three differ in length, or the features are not finite.
    """

    features: Features
    image_ids: Sequence[str]
    categories: NDArray[np.str_]
    index: Index | None = None
    row_of: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not len(self.features) == len(self.image_ids) == len(self.categories):
            raise ValueError("a gallery needs one feature vector, image_id and category for each image")
        if self.index is None and not np.isfinite(self.features).all():
            raise ValueError("a gallery's features must be finite")
        object.__setattr__(self, "row_of", {image_id: row for row, image_id in enumerate(self.image_ids)})

    @cached_property
    def _distinct(self) -> tuple[list[str], NDArray[np.intp], dict[str, NDArray[np.bool_]]]:
        names, places = np.unique(self.categories, return_inverse=True)
        return [str(name) for name in names], places, {}

    def of_category(self, category: str) -> NDArray[np.bool_]:
        """Return which images share a category with ``category``, which may name several; bool (n,)."""
        names, places, known = self._distinct
        if category not in known:
            known[category] = np.array([share(name, category) for name in names], np.bool_)[places]
        return known[category]


@dataclass(frozen=True, eq=False)
class RoundResult:
    """One round's ranking and its k results.

    Attributes:
        number: 0 for the plain query, then 1, 2, ...
        vector: float64 (d,), the query vector of this round.
        order: gallery rows, closest first: the whole gallery without the query itself, or the rows that an index found
            for the plain query. With ``Search.judged_first``, images judged relevant come first, and those judged
            irrelevant are left out.
        image_ids: (k,), the results; fewer where the order is shorter.
        of_category: bool (k,), whether each result is of the query's category; None if that is not known.
        relevant: gallery rows judged relevant in all rounds before this ranking, sorted.
        irrelevant: gallery rows judged irrelevant, likewise.
        precision: the share of the k results that are of the query's category; None if that is not known.
        residual_precision: the same for the first k images that were not judged before this ranking; if there are fewer
            than k, the missing ones count as wrong. Residual collection: Chang, Cirillo and Razon, in Salton (ed.),
            "The SMART Retrieval System", 1971.
        ranking: the ranking that gave the order.
    """

    number: int
    vector: Vector
    order: Rows
    image_ids: list[str]
    of_category: NDArray[np.bool_] | None
    relevant: Rows
    irrelevant: Rows
    precision: float | None
    residual_precision: float | None
    ranking: Ranking

    # The next two are computed on demand, because the simulated user does not need them.
    @cached_property
    def distances(self) -> Vector:
        """Euclidean distances of the results to ``vector``, float64 (k,)."""
        top = self.order[: len(self.image_ids)]
        return np.sqrt(squared_distances(self.ranking.features[top], self.vector))

    @cached_property
    def scores(self) -> Vector:
        """The strategy's scores of the results, float64 (k,); a higher score ranks first."""
        return self.ranking.score(self.order[: len(self.image_ids)])

    def as_json(self) -> dict[str, Any]:
        """Return the round as plain data. JSON keeps every digit of its floats."""
        judged = dict.fromkeys(self.relevant.tolist(), "relevant")
        judged |= dict.fromkeys(self.irrelevant.tolist(), "irrelevant")
        return {
            "round": self.number,
            "precision_at_k": self.precision,
            "residual_precision_at_k": self.residual_precision,
            "judged_relevant": int(self.relevant.size),
            "judged_irrelevant": int(self.irrelevant.size),
            "results": [
                {
                    "position": position,
                    "image_id": image_id,
                    "distance": float(self.distances[position]),
                    "score": float(self.scores[position]),
                    "of_category": None if self.of_category is None else bool(self.of_category[position]),
                    "judged": judged.get(int(self.order[position])),
                }
                for position, image_id in enumerate(self.image_ids)
            ],
        }


@dataclass(frozen=True, eq=False)
class Search:
    """A search with feedback: one query against one gallery. It is stateless: each round is computed from the last one.

    Attributes:
        gallery: the images that are searched.
        vector: (d,), the query's features.
        k: how many results a round has.
        strategy: a name in `cbir.feedback.strategies.REGISTRY`.
        weights: Rocchio's weights.
        query: the query's image_id; None for an outside query. If the query is in the gallery, it is left out of its
            own results and cannot be judged.
        category: the query's category; None if it is not known.
        source: the refinement's name in messages.
        judged_first: images judged relevant come first, in the strategy's order, and those judged irrelevant are left
            out of the results. The residual figures do not depend on it.

    Raises:
        InputError: when k exceeds the gallery; at the first judgement, when the strategy does not exist.
        ValueError: when the vector has another dimension than the gallery, or is not finite.
    """

    gallery: Gallery
    vector: NDArray[Any]
    k: int
    strategy: str
    weights: Weights
    query: str | None = None
    category: str | None = None
    source: str = "The refinement"
    judged_first: bool = False

    def __post_init__(self) -> None:
        if self.vector.shape != self.gallery.features.shape[1:] or not np.isfinite(self.vector).all():
            raise ValueError("the query vector must be finite and of the gallery's dimension")
        object.__setattr__(self, "vector", self.vector.astype(np.float64))
        available = len(self.gallery.image_ids) - (self.query in self.gallery.row_of)
        if self.k > available:
            raise InputError(f"{self.source}: k is {self.k}, but the gallery has {available} images: lower k.")

    def start(self) -> RoundResult:
        """Return round 0: the gallery ranked by its distance to the plain query."""
        ranking = Near(self.gallery.features, self.vector)
        return self._result(0, ranking, self._nearest(ranking), _NOTHING, _NOTHING)

    def _nearest(self, ranking: Near) -> Rows:
        """Return the gallery rows, nearest first; with an index, only as many as are shown."""
        if self.gallery.index is None:
            return ranking.order
        # One more than k, because the query itself may be among them.
        _, rows = self.gallery.index.search(self.vector[None], min(self.k + 1, self.gallery.index.rows))
        return rows[0]

    def judge(self, previous: RoundResult, judgements: Round) -> RoundResult:
        """Return the round after ``previous``. Ranks in ``judgements`` are positions in the results of ``previous``.

        The strategy gets all judgements so far. A later judgement of an image replaces an earlier one.

        Raises:
            InputError: naming the key, when an image is not in the gallery or is the query itself, a rank is out of
                range, or an image is judged twice in the round.
        """
        ranking, relevant, irrelevant = self._judged(previous, judgements)
        return self._result(previous.number + 1, ranking, ranking.order, relevant, irrelevant)

    def _judged(self, previous: RoundResult, judgements: Round) -> tuple[Ranking, Rows, Rows]:
        """Return the ranking of the next round, and the rows judged relevant and irrelevant so far."""
        key = f"rounds[{previous.number}]"
        relevant = self._rows(judgements.relevant, previous, f"{key}.relevant")
        irrelevant = self._rows(judgements.irrelevant, previous, f"{key}.irrelevant")
        if both := relevant & irrelevant:
            image_id = self.gallery.image_ids[min(both)]
            raise InputError(f"{self.source}: {key} judges {show(image_id)} both relevant and irrelevant: keep one.")
        all_relevant = _sorted(set(previous.relevant.tolist()) - irrelevant | relevant)
        all_irrelevant = _sorted(set(previous.irrelevant.tolist()) - relevant | irrelevant)
        strategy = REGISTRY.get_entry(self.strategy)
        ranking = strategy.rank(self.gallery.features, self.vector, all_relevant, all_irrelevant, self.weights)
        return ranking, all_relevant, all_irrelevant

    def _rows(self, judged: Iterable[str | int], previous: RoundResult, key: str) -> set[int]:
        rows: set[int] = set()
        for index, item in enumerate(judged):
            where = f"{self.source}: {key}[{index}]"
            if isinstance(item, int):
                last = len(previous.image_ids) - 1
                if not 0 <= item <= last:
                    raise InputError(f"{where} is rank {item}, but ranks go from 0 to {last}: correct it.")
                row = int(previous.order[item])
            elif item == self.query:
                raise InputError(f"{where} is the query itself: remove it.")
            elif item in self.gallery.row_of:
                row = self.gallery.row_of[item]
            else:
                raise InputError(f"{where} is {show(item)}, no image of the gallery: correct it.")
            if row in rows:
                image_id = self.gallery.image_ids[row]
                raise InputError(f"{where} names {show(image_id)} a second time: remove it.")
            rows.add(row)
        return rows

    def _result(self, number: int, ranking: Ranking, order: Rows, relevant: Rows, irrelevant: Rows) -> RoundResult:
        if self.query in self.gallery.row_of:
            order = order[order != self.gallery.row_of[self.query]]
        judged = np.zeros(len(self.gallery.image_ids), dtype=np.bool_)
        judged[relevant] = True
        if self.judged_first:
            first = order[judged[order]]
        judged[irrelevant] = True
        rest = order[~judged[order]]
        if self.judged_first:
            order = np.concatenate([first, rest])
        top, unjudged = order[: self.k], rest[: self.k]
        same = None if self.category is None else self.gallery.of_category(self.category)
        return RoundResult(
            number=number,
            vector=ranking.vector,
            order=order,
            image_ids=[self.gallery.image_ids[row] for row in top],
            of_category=None if same is None else same[top],
            relevant=relevant,
            irrelevant=irrelevant,
            precision=None if same is None else float(same[top].sum() / self.k),
            residual_precision=None if same is None else float(same[unjudged].sum() / self.k),
            ranking=ranking,
        )


def start_all(searches: Sequence[Search]) -> list[RoundResult]:
    """Return `Search.start` of many searches of one gallery, faster than one by one."""
    rankings = [Near(search.gallery.features, search.vector) for search in searches]
    return [
        search._result(0, ranking, order, _NOTHING, _NOTHING)
        for search, ranking, order in zip(searches, rankings, orders(rankings), strict=True)
    ]


def judge_all(
    searches: Sequence[Search], previous: Sequence[RoundResult], judgements: Sequence[Round]
) -> list[RoundResult]:
    """Return `Search.judge` of many searches of one gallery, faster than one by one; arguments in the same order."""
    judged: list[Any] = [None] * len(searches)

    def judge(rows: slice) -> None:
        judged[rows] = map(Search._judged, searches[rows], previous[rows], judgements[rows])

    with threads.shared() as parts:
        threads.in_blocks(len(searches), 1, judge, parts=parts)
    ranked = orders([ranking for ranking, *_ in judged])
    return [
        search._result(before.number + 1, ranking, order, relevant, irrelevant)
        for search, before, (ranking, relevant, irrelevant), order in zip(
            searches, previous, judged, ranked, strict=True
        )
    ]


def refine(
    gallery: Gallery, refinement: Refinement, vector: NDArray[Any], query: str | None, category: str | None
) -> list[RoundResult]:
    """Return round 0 (the plain query), then the result of each judged round; arguments and errors as in ``Search``."""
    search = Search(
        *(gallery, vector, refinement.k, refinement.strategy, refinement.weights, query, category, refinement.source),
        judged_first=refinement.judged_first,
    )
    results = [search.start()]
    for judgements in refinement.rounds:
        results.append(search.judge(results[-1], judgements))
    return results


def _sorted(rows: set[int]) -> Rows:
    return np.array(sorted(rows), dtype=np.intp)
