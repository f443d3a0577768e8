"""Turn distances into probabilities, and tell new queries from known ones: `calibrate` learns, `Calibration` applies.

A distance by itself means nothing to a person. Two things are learned by searching with the validation images: the
probability that a result at a given distance is of the query's category, and a threshold of the mean distance to the
nearest images above which a query is called new. Both are then measured on the test images.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import Relevant
from cbir.evaluation import novelty
from cbir.evaluation.reliability import Curve, fit, reliability
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.results import CALIBRATION, Results
from cbir.retrieval import exact

Values = NDArray[np.float64]

RESULTS = 10
"""How many of the nearest results of each query are used."""
NEIGHBOURS = (1, 3, 5, 10)
"""Over how many of them the mean distance may be taken; the val images decide."""
FALSE_ALARMS = 0.05
"""The share of queries of known categories that may be called new."""
MOST_QUERIES = 1000
"""The most queries of a split, evenly spaced in its order: they give 10,000 results."""
LEAST_QUERIES = 20
"""With fewer val queries, nothing is learned."""
LEAST_RESULTS = 10
"""With fewer right or fewer wrong results of val queries, no probability is learned."""
NOTHING = "nothing like it is here"


@dataclass(frozen=True)
class _Answers:
    """The nearest results of a split's images: distances (q, k), and whether each is of the query's category."""

    store: FeatureStore
    distances: Values
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]
    """(q,), whether the query's category is in the gallery."""


def calibrate(
    gallery: FeatureStore,
    val: FeatureStore,
    test: FeatureStore,
    block_bytes: int = exact.BLOCK_BYTES,
    relevant: Relevant | None = None,
) -> dict[str, Any]:
    """Learn probabilities and a threshold of novelty from the val images, and measure both on the test images.

    Args:
        gallery: a method's train features.
        val: its validation features.
        test: its test features.
        block_bytes: memory for a block of keys.
        relevant: which labels share a category, where images may have several; None if each label is a category.
            Novelty is learned by hiding labels from the gallery; each combination of categories is hidden as one.

    Returns:
        Plain data: ``probability`` with the points of the curve and its ``reliability`` on the test images, and
        ``novelty`` with the ``threshold`` and its rates. Each has ``too_few``: a sentence where val has too few images,
        else None.
    """
    relevant = relevant or Relevant.one_each(gallery.label, val.label, test.label)
    ours, theirs = (_answers(gallery, store, block_bytes, relevant) for store in (val, test))
    return {
        "method": gallery.about.get("method"),
        "results": RESULTS,
        "features_sha256": {
            name: store.about.get("features_sha256")
            for name, store in (("train", gallery), ("val", val), ("test", test))
        },
        "probability": _probability(ours, theirs),
        "novelty": _novelty(gallery, ours, theirs, block_bytes),
    }


def _answers(gallery: FeatureStore, store: FeatureStore, block_bytes: int, relevant: Relevant) -> _Answers:
    count = len(store.label)
    rows = np.linspace(0, count - 1, min(count, MOST_QUERIES)).round().astype(np.int64)
    store = store.rows(rows)
    distances, places = exact.nearest(store.features, gallery.features, RESULTS, block_bytes)
    right = relevant(gallery.label[places], store.label[:, None])
    return _Answers(store, distances, right, np.isin(store.label, gallery.label))


def _probability(val: _Answers, test: _Answers) -> dict[str, Any]:
    right = int(np.count_nonzero(val.right))
    about = {"val_queries": len(val.right), "val_right": right, "val_wrong": val.right.size - right}
    if len(val.right) < LEAST_QUERIES or min(right, about["val_wrong"]) < LEAST_RESULTS:
        sentence = (
            f"The {RESULTS} nearest results of {len(val.right)} val images are {right} right and "
            f"{about['val_wrong']} wrong ones; a probability needs {LEAST_QUERIES} images and {LEAST_RESULTS} results "
            "of either kind."
        )
        return {"too_few": sentence, **about}
    curve = fit(val.distances.ravel(), val.right.ravel())
    return {
        "too_few": None,
        **about,
        "distances": curve.distances.tolist(),
        "probabilities": curve.probabilities.tolist(),
        "reliability": reliability(curve.at(test.distances.ravel()), test.right.ravel()),
    }


def _novelty(gallery: FeatureStore, val: _Answers, test: _Answers, block_bytes: int) -> dict[str, Any]:
    categories = len(np.unique(gallery.label))
    known = int(np.count_nonzero(val.known))
    if known < LEAST_QUERIES or categories < 2:
        sentence = (
            f"{known} val images are of a category of the gallery, which has {categories}; telling new from known "
            f"queries needs {LEAST_QUERIES} images and 2 categories."
        )
        return {"too_few": sentence, "val_queries": known}

    def scored(answers: _Answers) -> tuple[Values, Values]:
        vectors = gallery.features, gallery.label, answers.store.features, answers.store.label
        hidden = novelty.hidden_scores(*vectors, NEIGHBOURS, block_bytes)
        return novelty.scores(answers.distances[answers.known], NEIGHBOURS), hidden

    of_val, of_test = scored(val), scored(test)
    tried = [novelty.auroc(*pair) for pair in zip(*of_val, strict=True)]
    # max returns the first of equally good numbers of neighbours, which is the smallest.
    chosen = max(range(len(tried)), key=lambda place: tried[place] or 0.0)
    limit = novelty.threshold(of_val[0][chosen], FALSE_ALARMS)

    def rates(known: Values, unknown: Values) -> dict[str, Any]:
        return {
            "known": len(known),
            "unknown": len(unknown),
            "auroc": novelty.auroc(known, unknown),
            "false_alarms": _share(known > limit),
            "detected": _share(unknown > limit),
        }

    return {
        "too_few": None,
        "tried": [{"neighbours": count, "auroc": value} for count, value in zip(NEIGHBOURS, tried, strict=True)],
        "neighbours": NEIGHBOURS[chosen],
        "threshold": limit,
        "false_alarms_aimed_at": FALSE_ALARMS,
        "val": rates(*(scores[chosen] for scores in of_val)),
        "test": rates(*(scores[chosen] for scores in of_test)),
    }


def _share(held: NDArray[np.bool_]) -> float | None:
    return float(held.mean()) if len(held) else None


@dataclass(frozen=True)
class Novelty:
    """Whether a query is like anything in the gallery.

    Attributes:
        score: the mean distance to its nearest images.
        threshold: the score above which a query is new.
        is_new: whether nothing like the query is in the gallery.
    """

    score: float
    threshold: float
    is_new: bool


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` learned.

    Attributes:
        curve: the probability as a function of distance; None if val was too small.
        neighbours: over how many nearest images `novelty` takes the mean distance; 0 if val was too small.
        threshold: the mean distance above which a query is new.
    """

    curve: Curve | None
    neighbours: int
    threshold: float

    def probabilities(self, distances: Values) -> Values:
        """Return the probability that a result at each distance is of the query's category; NaN where unknown."""
        return np.full(len(distances), np.nan) if self.curve is None else self.curve.at(distances)

    def plain_probabilities(self, distances: Values) -> list[float | None]:
        """Return the same as plain data, with None in place of NaN."""
        return [None if math.isnan(value) else value for value in self.probabilities(distances).tolist()]

    def novelty(self, distances: Values) -> Novelty | None:
        """Tell whether a query is like anything in the gallery; None if val was too small.

        Args:
            distances: to the nearest images, nearest first: at least ``neighbours``, or as many as the gallery has.
        """
        if not self.neighbours or not len(distances):
            return None
        score = float(np.mean(distances[: self.neighbours]))
        return Novelty(score, self.threshold, score > self.threshold)


UNKNOWN = Calibration(None, 0, math.inf)
"""The calibration of a method for which nothing was learned."""


def read(results: Results, method: str) -> Calibration | None:
    """Return a method's calibration; None where the run has none.

    Raises:
        InputError: when the file is damaged.
    """
    path = results.path(CALIBRATION, method=method)
    if not path.exists():
        return None
    return from_data(results.json(CALIBRATION, method=method), str(path))


def from_data(data: dict[str, Any], name: str) -> Calibration:
    """Return what `calibrate` learned from its plain data.

    Args:
        data: what `calibrate` returned.
        name: the name of the data in messages.

    Raises:
        InputError: when `calibrate` cannot have returned the data.
    """
    try:
        learned, new = data["probability"], data["novelty"]
        curve = None
        if learned["too_few"] is None:
            curve = Curve(*(np.array(learned[key], np.float64) for key in ("distances", "probabilities")))
            _require_curve(curve)
        neighbours, threshold = (0, math.inf) if new["too_few"] is not None else (new["neighbours"], new["threshold"])
        if type(neighbours) is not int or neighbours not in (0, *NEIGHBOURS) or math.isnan(threshold):
            raise ValueError("novelty")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is damaged ({error}): remove it and run again.") from None
    return Calibration(curve, neighbours, float(threshold))


def _require_curve(curve: Curve) -> None:
    d, p = curve.distances, curve.probabilities
    fits = d.ndim == 1 and len(d) and d.shape == p.shape and bool(np.isfinite(d).all())
    if not (fits and np.all(np.diff(d) > 0) and np.all((p >= 0) & (p <= 1)) and np.all(np.diff(p) <= 0)):
        raise ValueError("its curve does not fall with the distance")


def shown(probability: float | None) -> str:
    """Return a probability as text: ``87 %``, ``> 99 %``, ``< 1 %``; ``""`` if it is not known."""
    if probability is None or math.isnan(probability):
        return ""
    whole = f"{100 * probability:.0f} %"
    return {"0 %": "< 1 %", "100 %": "> 99 %"}.get(whole, whole)
