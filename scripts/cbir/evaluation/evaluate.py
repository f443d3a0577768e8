"""Evaluate a method: search its gallery with the test images as queries."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from cbir.collection.categories import SEPARATOR, Relevant, rarest
from cbir.evaluation import cut, measure, ranks
from cbir.evaluation import first as firsts
from cbir.evaluation.classification import confusion, precision_recall_f1
from cbir.evaluation.folds import across, of_each
from cbir.evaluation.judgements import Judgements, Order, by_category
from cbir.evaluation.lowest import LEAST_SHARE, RESAMPLES, lowest_f1_shares
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.evaluation.unseen import unseen_gallery
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.progress import Progress
from cbir.retrieval import exact
from cbir.retrieval.index import Index
from cbir.retrieval.voting import majority_of_several, majority_vote

log = logging.getLogger("cbir")

# The index is checked against the exact search for at most so many queries, and at most so many pairs of a query and a
# gallery image. Checking all queries would take longer than the whole evaluation.
_CHECKED_QUERIES = 100
_CHECKED_IMAGES = 1_000_000

CMC_RANKS = 100
"""The last rank of the cumulative match characteristic (CMC)."""
PRECISION_RANKS = (1, 5, 10)
"""The k of mP@k for each setup of a list of relevant images, as in Revisited Oxford and Paris."""


@dataclass(frozen=True)
class Evaluation:
    """The tables of an evaluation; see `evaluate`."""

    summary: dict[str, Any]
    categories: pd.DataFrame
    queries: pd.DataFrame
    neighbours: pd.DataFrame
    confusion: pd.DataFrame
    worst: dict[str, Any]
    cmc: pd.DataFrame
    folds: pd.DataFrame | None = None


def evaluate(
    gallery: FeatureStore,
    queries: FeatureStore,
    categories: list[str],
    index: Index | None,
    *,
    k: int,
    neighbours: int,
    worst_images: int,
    worst_retrieved: int,
    seed: int,
    block_bytes: int = exact.BLOCK_BYTES,
    val: FeatureStore | None = None,
    judgements: Judgements | None = None,
    setups: Mapping[str, Judgements] | None = None,
    folds: np.ndarray | None = None,
    confidence: float = 0.95,
    exact_rows: int | None = None,
    recall: float = 0.95,
    ranked: int = firsts.RANKED,
    memory: ranks.Memory | None = None,
) -> Evaluation:
    """Rank the gallery for every query, and measure the rankings and the classification by k nearest neighbours.

    Unless ``judgements`` are given, an image is relevant if it shares a category with the query. For accuracy, F1 and
    the confusion matrix, a query with several categories counts under the rarest of them in gallery and queries; a vote
    for any of its categories is right and counts as a vote for that one.

    Args:
        gallery: the features that are searched, usually those of train.
        queries: the features of test; the same object as ``gallery`` where a collection is searched by its own images.
        categories: the name of each label, which may name several categories, see `cbir.collection.categories`.
        index: the gallery's index. An exact one is checked against the exact search on a sample of the queries. An
            approximate one is used only for galleries of more than ``exact_rows`` images. None: there is no index.
        k: ``evaluation.k``: the number of neighbours that vote, and the k of the metrics "at k".
        neighbours: how many neighbours of each query are listed.
        worst_images: how many test images of the worst category are examined; they are drawn.
        worst_retrieved: how many results are retrieved for each of them.
        seed: of that draw, and of the resamples that find the categories that may have the lowest F1.
        block_bytes: memory for a block of rankings.
        val: the method's validation features, which serve as a gallery that was not trained on; None omits that.
        judgements: which images are relevant to each query, and which are left out of its ranking; None takes the
            categories and leaves none out.
        setups: further judgements by name, each measured by ``map_trapezoid`` and ``mp_at_k`` at ``PRECISION_RANKS``.
        folds: int (queries,), the fold of each query, for means with intervals over the folds; None if there are none.
        confidence: of those intervals.
        exact_rows: of a larger gallery only the first results are ranked, by the index if that is an approximate one
            (see `cbir.evaluation.first`). Right images that are not among them count as not found. None: the gallery is
            ranked as a whole, however large.
        recall: what an approximate index shall find of these results.
        ranked: how many results these are; at least as many as vote and are listed.
        memory: files that the evaluation leaves for the next one, which then ranks only what changed (see
            `cbir.evaluation.ranks`). They are not used with ``judgements``, and not if only the first results are
            ranked.

    Returns:
        ``summary``, with every metric by its key, and ``unseen_gallery`` (see `cbir.evaluation.unseen.unseen_gallery`),
        ``setups`` and ``folds`` if their arguments are given; ``categories``, best F1 first; ``queries``, a row each;
        ``neighbours``, with ranks from 1; ``confusion``, rows true, columns predicted; ``worst``, about the category
        with the lowest F1; ``cmc``, the cumulative match characteristic; ``folds``, a row each.
        If only the first results are ranked, the summary has their number (``ranked``), the keys of the metrics whose
        values differ from those of whole rankings (``cut``), and what found the results (``ranked_by``: its ``kind``,
        ``effort`` and ``recall``).

    Raises:
        InputError: when there is no gallery image or no query, a query's ranking is empty, no query has a relevant
            image, a label has no category, or the index and the exact search differ.
    """
    if not len(gallery.features) or not len(queries.features):
        raise InputError("There are no train or no test images to evaluate: change the split.")
    labels = np.concatenate([gallery.label, queries.label])
    if labels.min() < 0 or labels.max() >= len(categories):
        raise InputError("The feature stores have labels without a category: remove results/features and run again.")
    relevant = Relevant(categories)
    truth = _counted_as(labels, categories, relevant)[len(gallery.label) :]
    labelled, categories = categories, relevant.names
    judged = by_category(gallery.label, queries.label, relevant) if judgements is None else judgements
    if not judged.ranked.all():
        query = queries.image_id[judged.ranked.argmin()]
        raise InputError(f"The gallery holds no image to find for {query!r}: add images, or change the split.")
    if not judged.relevant.any():
        raise InputError(
            "No query has a right image in the gallery, so that nothing can be measured: change the split, the list of "
            "relevant images, or split.setup."
        )
    # All queries list the same number of neighbours, so the shortest ranking limits it.
    listed = min(max(neighbours, k, worst_retrieved), int(judged.ranked.min()))
    per_query = pd.DataFrame({"image_id": queries.image_id, "category": [categories[label] for label in truth]})
    gtm = int(judged.relevant.max())
    found = np.empty((len(queries.features), listed))
    places = np.empty((len(queries.features), listed), np.int64)
    right = np.empty((len(queries.features), listed), np.bool_)
    metrics = measure.all_metrics()
    values = {key: np.empty(len(queries.features)) for key, metric in metrics.items() if measure.is_of_rankings(metric)}
    first = np.full(len(queries.features), np.nan)
    by_setup = {name: _Setup(of_setup, len(queries.features)) for name, of_setup in (setups or {}).items()}
    if index is not None and index.effort is None:
        _require_agreement(index, gallery, queries, listed, seed)
    progress = Progress("queries ranked", len(queries.features))
    first_ones = _First.of(gallery, queries, index, exact_rows, max(ranked, listed), recall, seed)
    most = None if first_ones is None else first_ones.ranked
    if first_ones is None and memory is not None and judgements is None:
        blocks = ranks.rankings(gallery, queries, judged, listed, block_bytes, labelled, memory)
    else:
        if memory is not None:
            memory.forget()
        orders = exact.rankings(queries.features, gallery.features, block_bytes)
        if first_ones is not None:
            orders = firsts.rankings(first_ones.index, queries, [judged, *(setups or {}).values()], first_ones.ranked)
        blocks = _judged(orders, gallery, queries, judged, listed, most, list(by_setup.values()))
    for rows, order, of_block, relevance in blocks:
        places[rows], found[rows], right[rows] = order, of_block, relevance[:, :listed]
        hit = judged.relevant[rows] > 0
        # One that is not among the first results is beyond all ranks that are listed.
        place = np.where(relevance.any(axis=1), 1.0 + relevance.argmax(axis=1), np.inf)
        first[rows] = np.where(hit, place, np.nan)
        relevant_in_all = None if most is None else judged.relevant[rows]
        for key, of_queries in values.items():
            of_queries[rows] = cut.per_query(metrics[key], relevance, relevant_in_all, k=k, gtm=gtm)
        progress.advance(len(order))

    near = gallery.label[places[:, :k]]
    predicted = majority_of_several(near, relevant.has) if relevant.several else majority_vote(near)
    # A vote for any of a query's categories is right.
    correct = relevant.has[queries.label, predicted]
    predicted = np.where(correct, truth, predicted)
    per_query["predicted"] = [categories[label] for label in predicted]
    per_query["correct"] = correct
    for key, of_queries in values.items():
        if metrics[key].COLUMN is not None:
            per_query[metrics[key].COLUMN] = of_queries
    counts = confusion(truth, predicted, len(categories))
    table = _categories(categories, counts, truth, values["anmrr"])
    worst_category = str(table["category"].iloc[-1])
    summary: dict[str, Any] = {
        "method": gallery.about.get("method"),
        "k": k,
        "queries": len(correct),
        **{key: measure.overall(metric, values.get(key), counts) for key, metric in metrics.items()},
        "worst_category": worst_category,
        "gallery": len(gallery.features),
        "features_sha256": {
            **({} if gallery is queries else {"train": gallery.about.get("features_sha256")}),
            "test": queries.about.get("features_sha256"),
        },
    }
    if first_ones is not None:
        summary |= first_ones.about(metrics, judged.relevant, gtm)
    if by_setup:
        summary["setups"] = {name: setup.means() for name, setup in by_setup.items()}
    of_folds = None
    if folds is not None:
        of_folds = of_each(folds, metrics, values, truth, predicted, len(categories))
        summary["folds"] = across(of_folds, confidence)
    if val is not None:
        summary["unseen_gallery"] = unseen_gallery(gallery, val, queries, block_bytes, relevant)
        summary["features_sha256"]["val"] = val.about.get("features_sha256")
    return Evaluation(
        summary=summary,
        categories=table,
        queries=per_query,
        neighbours=_neighbours(gallery, queries, found, places, neighbours),
        confusion=_confusion(categories, counts),
        worst=_worst(
            *(worst_category, table, per_query, gallery, queries, places, right, relevant),
            *(worst_images, worst_retrieved, seed),
        )
        | {"resamples": RESAMPLES, "seed": seed, "lowest_in": lowest_in(counts, categories, seed)},
        cmc=_cmc(first, min(CMC_RANKS, len(gallery.features) if first_ones is None else first_ones.ranked)),
        folds=of_folds,
    )


def _counted_as(labels: np.ndarray, categories: list[str], relevant: Relevant) -> np.ndarray:
    """Return, for the label of each image, the position in ``relevant.names`` of the category that it counts under."""
    if not relevant.several:
        return labels
    place = {name: number for number, name in enumerate(relevant.names)}
    return rarest(pd.Series([categories[label] for label in labels], dtype=str)).map(place).to_numpy(np.int64)


def lowest_in(counts: np.ndarray, categories: list[str], seed: int) -> list[dict[str, Any]]:
    """Return the categories that have the lowest F1 in a share of at least `LEAST_SHARE` of `RESAMPLES` resamples.

    Args:
        counts: int64 (categories, categories), rows true, columns predicted.
        categories: their names.
        seed: of the resamples.

    Returns:
        A dictionary with ``category`` and ``share`` for each, largest share first.
    """
    shares = lowest_f1_shares(counts, seed=seed)
    found = [(float(share), name) for share, name in zip(shares, categories, strict=True) if share >= LEAST_SHARE]
    return [{"category": name, "share": share} for share, name in sorted(found, key=lambda item: (-item[0], item[1]))]


@dataclass(frozen=True)
class _First:
    """What ranks the first results of a gallery that is too large to be ranked as a whole."""

    index: Index
    ranked: int
    recall: float

    @classmethod
    def of(
        cls,
        gallery: FeatureStore,
        queries: FeatureStore,
        index: Index | None,
        exact_rows: int | None,
        ranked: int,
        recall: float,
        seed: int,
    ) -> "_First | None":
        """Return it, None for a gallery that is ranked as a whole; arguments as in `evaluate`."""
        if exact_rows is None or len(gallery.features) <= exact_rows:
            return None
        ranked = min(ranked, len(gallery.features))
        found, reached = firsts.searcher(index, gallery, queries, ranked, recall, seed)
        log.info(
            "%d images are more than evaluation.exact_rows: the first %d results of each query are ranked, by %s, "
            "recall %.3f",
            *(len(gallery.features), ranked, found.label, reached),
        )
        return cls(found, ranked, reached)

    def about(self, metrics: measure.Metrics, relevant: np.ndarray, gtm: int) -> dict[str, Any]:
        """Return what the summary says about it."""
        names = [key for key, metric in metrics.items() if cut.is_cut(metric, relevant, gtm, self.ranked)]
        by = {"kind": self.index.kind, "effort": self.index.effort, "recall": self.recall}
        return {"ranked": self.ranked, "cut": names, "ranked_by": by}


def _require_agreement(index: Index, gallery: FeatureStore, queries: FeatureStore, listed: int, seed: int) -> None:
    """Check that the index finds the same distances as the exact search for a sample of the queries.

    Raises:
        InputError: when it does not.
    """
    count = min(_CHECKED_QUERIES, len(queries.features), max(1, _CHECKED_IMAGES // index.rows))
    sample = queries.features[np.random.default_rng(seed).choice(len(queries.features), count, replace=False)]
    exactly, _ = exact.nearest(sample, gallery.features, listed)
    distances, _ = index.search(sample, listed)
    if not np.allclose(distances, exactly, rtol=1e-9, atol=1e-9):
        raise InputError(
            f"The {index.label} finds other neighbours than the exact search: remove results/index and run again."
        )
    log.info("%s and exact search agree on the %d nearest of %d queries", index.label, listed, count)


def _judged(
    orders: Iterable[tuple[slice, Order]],
    gallery: FeatureStore,
    queries: FeatureStore,
    judged: Judgements,
    listed: int,
    most: int | None,
    setups: Sequence["_Setup"],
) -> Iterator[ranks.Block]:
    """Judge rankings, of which only the first ``most`` results are kept, and measure the setups."""
    for rows, found in orders:
        for setup in setups:
            setup.measure(rows, found, most)
        order, relevance = judged.judge(rows, found)
        places = order[:, :listed]
        yield (
            rows,
            places,
            ranks.distances(queries, gallery, np.arange(rows.start, rows.stop), places),
            relevance[:, :most],
        )


class _Setup:
    """The metrics of one setup of a list of relevant images, for each query."""

    def __init__(self, judged: Judgements, queries: int) -> None:
        self.judged = judged
        self.values = {name: np.empty(queries) for name in ("map_trapezoid", *_mp_at())}

    def measure(self, rows: slice, found: Order, most: int | None) -> None:
        """Measure the rankings of a block of queries, of which only the first ``most`` results are kept."""
        relevance = self.judged.judge(rows, found)[1][:, :most]
        relevant = None if most is None else self.judged.relevant[rows]
        self.values["map_trapezoid"][rows] = REGISTRY["map-trapezoid"].per_query(relevance, relevant)
        for name, k in _mp_at().items():
            self.values[name][rows] = REGISTRY["mp-at-k"].per_query(relevance, k, relevant)

    def means(self) -> dict[str, Any]:
        """Return the mean of each metric over the ``queries`` with a relevant image; None if there is no such query."""
        defined = int(np.count_nonzero(~np.isnan(self.values["map_trapezoid"])))
        means = {name: mean_defined(values) if defined else None for name, values in self.values.items()}
        return {"queries": defined, **means}


def _mp_at() -> dict[str, int]:
    return {f"mp_at_{k}": k for k in PRECISION_RANKS}


def _cmc(first: np.ndarray, ranks: int) -> pd.DataFrame:
    """Return the CMC: for each rank, the share of queries whose first relevant image is at that rank or before.

    Args:
        first: float64 (queries,), the rank of that image, from 1; infinity if it was not found; NaN for a query without
            one, which is left out.
        ranks: the last rank.
    """
    defined = first[~np.isnan(first)]
    counts = np.cumsum(np.bincount(defined[np.isfinite(defined)].astype(np.int64), minlength=ranks + 1))[1 : ranks + 1]
    share = counts / len(defined) if len(defined) else np.full(ranks, np.nan)
    return pd.DataFrame({"rank": range(1, ranks + 1), "cmc": share})


def _categories(categories: list[str], counts: np.ndarray, truth: np.ndarray, nmrr: np.ndarray) -> pd.DataFrame:
    labels = np.unique(truth)
    precision, recall, f1 = (values[labels] for values in precision_recall_f1(counts))
    table = pd.DataFrame(
        {
            "category": [categories[label] for label in labels],
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": counts.sum(axis=1)[labels],
            "anmrr": [mean_defined(nmrr[truth == label]) for label in labels],
        }
    )
    return table.sort_values(["f1", "anmrr", "category"], ascending=[False, True, True], ignore_index=True)


def _confusion(categories: list[str], counts: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(counts, columns=categories)
    # A category may itself be called "category".
    table.insert(0, "category", categories, allow_duplicates=True)
    return table


def _neighbours(
    gallery: FeatureStore, queries: FeatureStore, found: np.ndarray, places: np.ndarray, count: int
) -> pd.DataFrame:
    count = min(count, found.shape[1])
    return pd.DataFrame(
        {
            "query": np.repeat(queries.image_id, count),
            "rank": np.tile(np.arange(1, count + 1), len(found)),
            "image_id": gallery.image_id[places[:, :count].ravel()],
            "distance": found[:, :count].ravel(),
        }
    )


def _worst(
    category: str,
    table: pd.DataFrame,
    per_query: pd.DataFrame,
    gallery: FeatureStore,
    queries: FeatureStore,
    places: np.ndarray,
    right: np.ndarray,
    relevant: Relevant,
    images: int,
    retrieved: int,
    seed: int,
) -> dict[str, Any]:
    """Examine one category as the study did: some of its test images, their results, and what it is confused with."""
    rows = np.flatnonzero(per_query["category"] == category)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, min(images, len(rows)), replace=False))
    shown = gallery.label[places[chosen, :retrieved]]
    relevance = right[chosen, :retrieved]
    values = REGISTRY["nmrr-at-k"].per_query(relevance, k=retrieved)
    wrong = per_query.loc[rows[per_query["predicted"].iloc[rows] != category], "predicted"].value_counts()
    strangers = pd.Series(
        [SEPARATOR.join(compress(relevant.names, relevant.has[label])) for label in shown[~relevance]]
    )
    figures = table[table["category"] == category].iloc[0]
    return {
        "category": category,
        "precision": float(figures["precision"]),
        "recall": float(figures["recall"]),
        "f1": float(figures["f1"]),
        "retrieved": retrieved,
        "anmrr_at_retrieved": float(values.mean()),
        "images": [
            {
                "image_id": str(queries.image_id[row]),
                "nmrr_at_k": float(value),
                "retrieved": [str(gallery.image_id[place]) for place in places[row, :retrieved]],
            }
            for row, value in zip(chosen, values, strict=True)
        ],
        "taken_for": _counted(wrong),
        "retrieved_instead": _counted(strangers.value_counts()),
    }


def _counted(counts: pd.Series) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"category": str(name), "count": int(count)} for name, count in ordered]
