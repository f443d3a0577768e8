"""Choose the options of a derived method's steps by the retrieval quality of the val images in the train images."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import Relevant
from cbir.evaluation import measure
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.validation import retrieval_quality
from cbir.features.chains import Chain, alternatives, chains, chosen_row, monitor_of
from cbir.features.transforms import Matrix, Step, Transform, fit_parts, fit_step, side_by_side
from cbir.files.errors import InputError
from cbir.files.progress import Progress

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """The result of `choose`.

    Attributes:
        row: the method's row with the chosen values.
        fitted: the transform with these values.
        tried: a dictionary for each combination, in the order tried: ``steps``, the steps whose options have lists,
            with the values tried, and ``value``, the monitor's value on val.
        best: the position in ``tried`` of the best combination; of equally good ones, the first.
    """

    row: dict[str, Any]
    fitted: Transform
    tried: list[dict[str, Any]]
    best: int


def choose(
    row: dict[str, Any],
    train: Sequence[Matrix],
    train_labels: NDArray[np.int64],
    val: Sequence[Matrix],
    val_labels: NDArray[np.int64],
    k: int | None = None,
    relevant: Relevant | None = None,
) -> Choice:
    """Try every combination of the values that a row's steps list, and return the one with the best ``monitor`` on val.

    Steps are fitted on train alone; the val images are the queries. The search is exhaustive and not random.

    Args:
        row: the method's row of the configuration, see `cbir.features.chains.chains`; ``monitor`` names the metric,
            ANMRR if it is missing.
        train: the gallery, (n, d) float32 for each part.
        train_labels: int64 (n,).
        val: the queries, (m, d) float32 for each part.
        val_labels: int64 (m,).
        k: how many results count; may be None if the monitor does not depend on it.
        relevant: which labels share a category; None if each label is a category.

    Raises:
        InputError: when no val image is of a category of train, or a step cannot be fitted.
    """
    found = np.unique(train_labels)
    if not (np.isin if relevant is None else relevant)(np.unique(val_labels)[:, None], found).any():
        raise InputError(
            "The val split has no image of a category of the train split to choose by: raise split.val, or give each "
            "option of the method's steps one value and remove choose."
        )
    monitor = monitor_of(row)
    asked = chains(row)
    parts = fit_parts(asked.parts, train)
    gallery, queries = side_by_side(parts, train, True), side_by_side(parts, val, False)
    choices = [len(alternatives(step)) for step in asked.whole]
    progress = Progress("choices tried", math.prod(choices))
    best, row_of_best, fitted = 0, row, list[Step]()
    tried = list[dict[str, Any]]()
    for written, steps, ours, theirs in _every(asked.whole, gallery, queries):
        figures = retrieval_quality(
            theirs.astype(np.float32), val_labels, ours.astype(np.float32), train_labels, [monitor], k, relevant
        )
        value = figures[measure.key(monitor)]
        if not tried or _better(monitor, value, tried[best]["value"]):
            best, row_of_best, fitted = len(tried), chosen_row(row, written), steps
        listed = [step for step, count in zip(written, choices, strict=True) if count > 1]
        tried.append({"steps": listed, "value": value})
        progress.advance(1)
    return Choice(row_of_best, Transform(parts, fitted), tried, best)


def _every(chain: Chain, gallery: Rows, queries: Rows) -> Iterator[tuple[Chain, list[Step], Rows, Rows]]:
    """Yield each combination of a chain: its configuration, the fitted steps, the transformed gallery and queries.

    Combinations that begin with the same steps share them, so that each is fitted once.
    """
    if not chain:
        yield [], [], gallery, queries
        return
    for written in alternatives(chain[0]):
        step = fit_step(written, gallery)
        made = step.apply(gallery, is_gallery=True), step.apply(queries, is_gallery=False)
        for rest, steps, ours, theirs in _every(chain[1:], *made):
            yield [written, *rest], [step, *steps], ours, theirs


def _better(monitor: str, value: float, best: float) -> bool:
    return value > best if REGISTRY[monitor].HIGHER_IS_BETTER else value < best
