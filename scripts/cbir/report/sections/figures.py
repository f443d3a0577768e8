"""The report's table of figures: a row for each metric, a column for each method."""

from dataclasses import dataclass
from typing import Any

from cbir.report.results import Results

TITLE = "Figures"
ORDER = 30
INPUTS = ()


@dataclass(frozen=True)
class Figure:
    """A figure of summary.json; ``written`` is the filter of `pages` that writes it, {k} is evaluation.k."""

    key: str
    name: str
    more_is_better: bool
    written: str
    meaning: str


FIGURES = (
    Figure(
        "accuracy",
        "Accuracy",
        True,
        "percent",
        "Share of queries whose category the majority of the {k} nearest images names.",
    ),
    Figure(
        "macro_f1",
        "Macro F1",
        True,
        "decimal",
        "F1, the harmonic mean of precision and recall of that naming, averaged over the categories.",
    ),
    Figure(
        "anmrr",
        "ANMRR",
        False,
        "decimal",
        "Average normalised modified retrieval rank (MPEG-7): how far down the ranking the right images stand. 0 is "
        "perfect, 1 the worst.",
    ),
    Figure(
        "nmrr_at_k",
        "NMRR at {k}",
        False,
        "decimal",
        "The same for somebody who looks at the first {k} results only.",
    ),
    Figure(
        "map",
        "Mean average precision",
        True,
        "decimal",
        "Precision at the rank of each right image, averaged over all right images, then over the queries.",
    ),
    Figure(
        "map_at_r",
        "MAP@R",
        True,
        "decimal",
        "The same within the first R results, R being how many right images the gallery holds; a right image that is "
        "not among them counts 0.",
    ),
    Figure(
        "r_precision",
        "R-precision",
        True,
        "decimal",
        "Share of right images among the first R results.",
    ),
    Figure(
        "precision_at_k",
        "Precision at {k}",
        True,
        "decimal",
        "Share of right images among the first {k} results.",
    ),
    Figure(
        "recall_at_k",
        "Recall at {k}",
        True,
        "decimal",
        "Share of all right images that the first {k} results bring; small wherever a category has many more than {k} "
        "images.",
    ),
)


def gather(results: Results) -> dict[str, Any]:
    """The summary's figures, a row a figure and a column a method."""
    k = results.config["evaluation"]["k"]
    rows = []
    for figure in FIGURES:
        values = [method.summary[figure.key] for method in results.methods]
        best = max(values) if figure.more_is_better else min(values)
        rows.append(
            {
                "name": figure.name.format(k=k),
                "meaning": figure.meaning.format(k=k),
                "more_is_better": figure.more_is_better,
                "written": figure.written,
                "cells": [{"value": value, "best": len(set(values)) > 1 and value == best} for value in values],
            }
        )
    return {"rows": rows}
