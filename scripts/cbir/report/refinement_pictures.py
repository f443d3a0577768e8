"""Draw relevance feedback: the rounds of a refinement below each other, and the gain per round as curves."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path, PurePosixPath
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cbir.collection.depths import Whites
from cbir.feedback.records import SHOWN_RESULTS, SHOWN_ROUNDS, flags
from cbir.files.printable import printable
from cbir.report import plots

# Colour, line style and sign all differ, so that any one of them distinguishes the two judgements.
_FLAGS = {
    "relevant": (plots.RELEVANT, "solid", "+ relevant"),
    "irrelevant": (plots.IRRELEVANT, "dashed", "− irrelevant"),
}
_STYLES = (("#0072b2", "o"), ("#b35900", "s"), ("#5b3a8c", "^"), ("#00694d", "D"), ("#a3195b", "v"), ("#666666", "P"))
_PANELS = (
    ("precision_at_k", None, "precision@{k}, all images"),
    ("common_residual_precision_at_k", "common_residual_precision_at_k_plain", "precision@{k}, unjudged images"),
    ("common_residual_anmrr", "common_residual_anmrr_plain", "ANMRR, unjudged images (0 is best)"),
)


def rounds(record: dict[str, Any], paths: Mapping[str, str], path: str | Path, whites: Whites | None = None) -> None:
    """Draw the rounds of a refinement below each other, the query first, with the judgements of each round.

    A frame and a badge mark a result that was judged relevant or irrelevant in the round. The text below a picture
    states an earlier judgement, and whether the image is of the query's category.

    Args:
        record: as `cbir.feedback.records.record` returns it.
        paths: the file of each image_id, and of the query if it is not an image of the collection.
        path: a PNG file.
        whites: see `cbir.collection.images.decode`.

    Raises:
        InputError: when an image cannot be read.
    """
    shown = record["rounds"][:SHOWN_ROUNDS]
    columns = 1 + min(SHOWN_RESULTS, len(shown[0]["results"]))
    figure, grid = plt.subplots(
        len(shown),
        columns,
        figsize=(plots.COLUMN * columns, (plots.ROW + 0.2) * len(shown) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for axes_row, round in zip(grid, shown, strict=True):
        if round["round"] == 0:
            about = [record["category"] or "category not known", PurePosixPath(record["query"]).name]
            lines = ["query, round 0", *about, *_words(round).split("\n")[1:]]
            plots.draw(axes_row[0], plots.Picture(paths[record["query"]], lines, whites=whites))
        else:
            axes_row[0].set_axis_off()
            # A square at the top, as the pictures beside it.
            axes_row[0].set(box_aspect=1, anchor="N")
            axes_row[0].text(0.5, 0.5, _words(round), ha="center", va="center", fontsize=8)
        given = flags(round)
        for axes, item in zip(axes_row[1:], round["results"], strict=False):
            _result(axes, item, paths[item["image_id"]], given.get(item["image_id"]), whites)
    asked = record["refinement"]
    title = f"{asked['method']}, {asked['strategy']}: {record['query']}"
    if columns - 1 < asked["k"] or len(shown) < len(record["rounds"]):
        title += f" (the first {columns - 1} of {asked['k']} results, {len(shown)} of {len(record['rounds'])} rankings)"
    figure.suptitle(printable(title), fontsize=10)
    plots.save(figure, path)


def _words(round: dict[str, Any]) -> str:
    words = f"round {round['round']}"
    if round["round"]:
        words += f"\n{round['judged_relevant']} relevant,\n{round['judged_irrelevant']} irrelevant\njudged so far"
    if round["precision_at_k"] is not None:
        words += f"\nprecision {round['precision_at_k']:.2f}"
        words += f"\nof unjudged {round['residual_precision_at_k']:.2f}" if round["round"] else ""
    return words


def _result(axes: Axes, item: dict[str, Any], path: str, flag: str | None, whites: Whites | None) -> None:
    own = {None: "", True: "right, ", False: "wrong, "}[item["of_category"]]
    category, _, name = item["image_id"].rpartition("/")
    before = [f"{item['judged']} before"] if item["judged"] else []
    lines = [f"{own}{category}", name, f"distance {item['distance']:.3f}", *before]
    plots.draw(axes, plots.Picture(path, lines, whites=whites))
    if flag is not None:
        colour, style, sign = _FLAGS[flag]
        for spine in axes.spines.values():
            spine.set(color=colour, linestyle=style, linewidth=3)
        axes.text(0.03, 0.97, sign, transform=axes.transAxes, va="top", color="white", fontsize=8, fontweight="bold",
                  bbox={"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.2"})  # fmt: skip


def gain(table: pd.DataFrame, k: int, path: str | Path, title: str = "") -> None:
    """Draw the simulated user's gain per round: a row for the worst categories together, one for a sample of all.

    Args:
        table: columns strategy, scope (``worst`` and ``sample`` are drawn), round, and those of
            `cbir.feedback.simulation.Gain.mean`.
        k: the number of results of a round.
        path: an SVG or PNG file.
        title: a heading.
    """
    scopes = {"worst": "worst categories", "sample": "sample of all"}
    figure, grid = plt.subplots(
        len(scopes), len(_PANELS), figsize=(9.6, 5.9), sharex=True, squeeze=False, layout="constrained"
    )
    figure.suptitle(printable(title), fontsize=10)
    for row, (scope, name) in zip(grid, scopes.items(), strict=True):
        of_scope = table[table["scope"] == scope]
        for axes, (column, plain, title) in zip(row, _PANELS, strict=True):
            for (strategy, lines), (colour, marker) in zip(
                of_scope.groupby("strategy", sort=False), cycle(_STYLES), strict=False
            ):
                axes.plot(lines["round"], lines[column], color=colour, marker=marker, markersize=4, label=strategy)
                if plain is not None:
                    axes.plot(lines["round"], lines[plain], color=colour, marker=marker, markersize=3,
                              linestyle=":", alpha=0.8, label=f"no feedback, same images as {strategy}")  # fmt: skip
            # The margin keeps marks at 0 and at 1 whole.
            axes.set_ylim(-0.03, 1.03)
            axes.grid(alpha=0.3)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(title.format(k=k), fontsize=9)
        queries, common = (of_scope[column].max() for column in ("queries", "common_queries"))
        row[0].set_ylabel(f"{name}\n({queries} {'query' if queries == 1 else 'queries'}; unjudged: {common})")
    for axes in grid[-1]:
        axes.set_xlabel("round")
    handles, labels = grid[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    plots.save(figure, path)
