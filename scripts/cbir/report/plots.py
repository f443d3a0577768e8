"""Draw tables and query results as charts. The same data give the same bytes."""

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cbir.collection.depths import Whites
from cbir.collection.images import ImageError, thumbnail
from cbir.evaluation import cut as cut_metrics
from cbir.evaluation import measure
from cbir.files.atomic import atomic
from cbir.files.errors import InputError
from cbir.files.printable import printable
from cbir.report import excerpts

matplotlib.use("Agg")
# parse_math is off, because file names may contain "$". The fixed salt makes the ids in an SVG reproducible.
matplotlib.rcParams.update({"svg.hashsalt": "cbir", "svg.fonttype": "none", "text.parse_math": False, "font.size": 9})

RIGHT, WRONG, NEUTRAL = "#1a7f37", "#c62828", "#57606a"
RELEVANT, IRRELEVANT = "#0072b2", "#b35900"
"""Colours of a person's judgements, different from those of right and wrong."""
COLUMN, ROW = 1.75, 2.4
"""Width and height in inches of a picture with its text: a square and at most three lines below it."""
_SIDE = 180
_TEXT_LENGTH = 24


@dataclass(frozen=True)
class Picture:
    """An image file and the text below it.

    Attributes:
        path: the file.
        lines: the lines of text below the picture.
        right: whether to draw it as a right or a wrong result; None draws it as neither.
        whites: see `cbir.collection.images.decode`.
    """

    path: str
    lines: Sequence[str]
    right: bool | None = None
    whites: Whites | None = None


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically and without dates in its metadata, and close it."""
    metadata = {"Date": None} if str(path).endswith(".svg") else {"Software": None}
    with atomic(path) as temporary:
        figure.savefig(temporary, metadata=metadata, dpi=110)
    plt.close(figure)


def confusion(table: pd.DataFrame, path: str | Path, title: str = "") -> None:
    """Draw a confusion matrix: rows true, columns predicted, shaded by the share of the row.

    If there are too many categories, the most confused ones are drawn, see `excerpts.most_confused`.

    Args:
        table: first column the true category, then a column of counts for each predicted category.
        path: an SVG or PNG file.
        title: a heading.
    """
    counts = table.iloc[:, 1:].to_numpy(np.int64)
    drawn = excerpts.most_confused(counts, excerpts.MOST)
    names = [shorten(str(name)) for name in table.iloc[drawn, 0]]
    supports = counts.sum(axis=1, keepdims=True)[drawn]
    heading = excerpts.cut(len(drawn), len(counts), f"The {len(drawn)} most confused", "confusion.csv")
    counts = counts[np.ix_(drawn, drawn)]
    shares = counts / np.maximum(supports, 1)
    side = max(3.2, 0.3 * len(names) + 1.8)
    figure, axes = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("\n".join(filter(None, [printable(title), heading])), fontsize=9)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(shown, ax=axes, label="share of the true category", shrink=0.7)
    save(figure, path)


def categories(table: pd.DataFrame, path: str | Path, title: str = "") -> None:
    """Draw precision, recall and F1 of each category, best F1 on top; of too many categories the best and the worst.

    Args:
        table: columns category, precision, recall, f1, in the order to draw.
        path: an SVG or PNG file.
        title: a heading.
    """
    whole, table = len(table), excerpts.both_ends(table, excerpts.MOST)
    figure, axes = plt.subplots(figsize=(6.4, 0.26 * len(table) + 1.5), layout="constrained")
    figure.suptitle(printable(title), fontsize=10)
    places = np.arange(len(table))
    axes.set_xlabel(excerpts.cut(len(table), whole, f"The best and the worst {len(table)}", "categories.csv"))
    axes.barh(places, table["f1"], color="#9ec5e8", label="F1")
    axes.scatter(table["precision"], places, marker="|", s=60, color="#b35900", label="precision", zorder=3)
    axes.scatter(table["recall"], places, marker="x", s=22, color="#303a8c", label="recall", zorder=3)
    axes.set_yticks(places, [shorten(str(name)) for name in table["category"]])
    axes.invert_yaxis()
    # The margin keeps marks at 0 and at 1 whole.
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    save(figure, path)


def calibration(data: dict[str, Any], path: str | Path, title: str = "") -> None:
    """Draw a reliability diagram of the test images, and the probability as a function of distance.

    Args:
        data: as `cbir.evaluation.calibration.calibrate` returns it; if val is too small, its sentence is drawn instead.
        path: an SVG or PNG file.
        title: a heading.
    """
    found = data["probability"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
    if found["too_few"] is not None:
        left.set_axis_off()
        right.set_axis_off()
        figure.suptitle("\n".join([title, textwrap.fill(found["too_few"], 70)]).strip(), fontsize=9, y=0.6)
        save(figure, path)
        return
    bins = found["reliability"]["bins"]
    left.plot([0, 1], [0, 1], color=NEUTRAL, linewidth=0.8, linestyle="--")
    places = [row["from"] for row in bins]
    widths = [row["to"] - row["from"] for row in bins]
    left.bar(places, [row["share_right"] for row in bins], widths, align="edge", color="#9ec5e8", edgecolor="white")
    left.scatter([row["mean_probability"] for row in bins], [row["share_right"] for row in bins], color=_BLUE, s=14)
    for row in bins:
        place = (row["from"] + row["to"]) / 2, min(row["share_right"] + 0.02, 1.01)
        left.annotate(f"{row['results']:,}", place, ha="center", va="bottom", fontsize=6)
    left.set_xlim(0, 1)
    left.set_ylim(0, 1.08)
    left.set_xlabel("predicted probability")
    left.set_ylabel("share of right results (test)")
    error = found["reliability"]["expected_calibration_error"]
    left.set_title(f"expected calibration error {error:.3f}" if error is not None else "no test results", fontsize=9)
    right.plot(found["distances"], found["probabilities"], color=_BLUE)
    right.set_ylim(0, 1.08)
    right.set_xlabel("distance")
    right.set_ylabel("probability (learned on val)")
    right.grid(alpha=0.3)
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def strips(rows: Sequence[Sequence[Picture]], path: str | Path, title: str = "") -> None:
    """Draw rows of pictures: each row a query, then its results.

    Args:
        rows: the pictures; the first of each row is the query.
        path: an SVG or PNG file.
        title: a heading.
    """
    columns = max(len(row) for row in rows)
    figure, grid = plt.subplots(
        len(rows),
        columns,
        figsize=(COLUMN * columns, ROW * len(rows) + 0.3 * bool(title)),
        squeeze=False,
        layout="constrained",
    )
    for axes_row, row in zip(grid, rows, strict=True):
        for axes, picture in zip(axes_row, row, strict=False):
            draw(axes, picture)
        for axes in axes_row[len(row) :]:
            axes.set_axis_off()
    if title:
        figure.suptitle(printable(title), fontsize=10)
    save(figure, path)


def draw(axes: Axes, picture: Picture) -> None:
    """Draw a picture with its mark and text. It is fitted into a square, so that frames and texts of a row line up.

    Raises:
        InputError: when the file is no longer an image.
    """
    try:
        image = np.asarray(thumbnail(picture.path, _SIDE, picture.whites))
    except ImageError as error:
        raise InputError(f"The image {picture.path} cannot be shown ({error}): run again, or put it back.") from None
    height, width = image.shape[:2]
    axes.imshow(image, extent=(-width / 2, width / 2, -height / 2, height / 2))
    # The limits fit the image, so that a small image is drawn as large as the others.
    half = max(height, width) / 2
    # At the top of its place, near to the title; the room that is left stays below the text.
    axes.set(xlim=(-half, half), ylim=(-half, half), xticks=[], yticks=[], facecolor="#f5f7f9", anchor="N")
    colour = NEUTRAL if picture.right is None else RIGHT if picture.right else WRONG
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(1 if picture.right is None else 3)
    if picture.right is not None:
        mark = "✓" if picture.right else "✗"
        axes.text(0.03, 0.97, mark, transform=axes.transAxes, va="top", color="white", fontsize=10, fontweight="bold",
                  bbox={"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.2"})  # fmt: skip
    axes.set_xlabel("\n".join(shorten(line) for line in picture.lines), fontsize=8)


def shorten(text: str) -> str:
    """Return a line of text that fits below a picture. Begin and end are kept, because names differ there most."""
    line = printable(text)
    head = _TEXT_LENGTH // 3
    return line if len(line) <= _TEXT_LENGTH else f"{line[:head]}…{line[head + 1 - _TEXT_LENGTH :]}"


# Two colours that colour-blind people can distinguish.
_BLUE, _ORANGE = "#0072b2", "#b35900"


def method_figures(table: pd.DataFrame, confidence: float, path: str | Path, cut: Collection[str] = ()) -> None:
    """Draw the compared metrics of each method with their intervals, methods from top to bottom.

    Args:
        table: as `cbir.evaluation.comparison.methods` returns it.
        confidence: of the intervals.
        path: an SVG or PNG file.
        cut: the metrics that are cut, see `cbir.evaluation.evaluate`.
    """
    places = np.arange(len(table))
    metrics = measure.compared_metrics()
    size = (3 * len(metrics), 0.32 * len(table) + 1.3)
    figure, grid = plt.subplots(1, len(metrics), figsize=size, sharey=True, layout="constrained")
    about = {"k": table["k"].iloc[0], "cut": cut, "ranked": table["ranked"].iloc[0] if cut else None}
    for axes, (key, metric) in zip(grid, metrics.items(), strict=True):
        title = f"{cut_metrics.named(key, metric, about)} ({measure.better(metric)} is better)"
        # The wider interval, for new categories, is drawn first and thin.
        for end, width in (("_categories", 0.8), ("", 2.5)):
            axes.hlines(places, table[f"{key}{end}_low"], table[f"{key}{end}_high"], color=_BLUE, linewidth=width)
        axes.scatter(table[key], places, color=_BLUE, zorder=3)
        for place, value in zip(places, table[key], strict=True):
            axes.annotate(f"{value:.3f}", (value, place), (0, 5), textcoords="offset points", ha="center", fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.margins(x=0.15)
        left, right = axes.get_xlim()
        least, most = metric.RANGE
        axes.set_xlim(max(left, least - 0.03), min(right, most + 0.03))
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks(places, [shorten(str(name)) for name in table["method"]])
    grid[0].set_ylim(len(table) - 0.5, -0.7)
    words = "% intervals for new images of these categories; thin: for new categories"
    figure.supxlabel(f"lines: {100 * confidence:g} {words}", fontsize=9)
    save(figure, path)


def method_categories(table: pd.DataFrame, path: str | Path) -> None:
    """Draw the F1 of each category with each method: a column of bars for each method, the best of a category darker.

    Of too many categories the first and the last are drawn.

    Args:
        table: columns category, support, then ``f1_{method}`` for each method, in the order to draw.
        path: an SVG or PNG file.
    """
    whole, table = len(table), excerpts.both_ends(table, excerpts.MOST)
    f1 = table.iloc[:, 2:]
    best = f1.max(axis=1)
    places = np.arange(len(table))
    size = (1.35 * f1.shape[1] + 1.6, 0.22 * len(table) + 1.2)
    figure, grid = plt.subplots(1, f1.shape[1], figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axes, name in zip(grid[0], f1.columns, strict=True):
        axes.barh(places, f1[name], color=np.where(f1[name] == best, "#5b9bd5", "#cfe2f3"))
        for place, value in zip(places, f1[name], strict=True):
            axes.text(0.03, place, f"{value:.3f}", va="center", fontsize=8)
        axes.set_title(textwrap.fill(shorten(name.removeprefix("f1_")), 14), fontsize=9)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(axis="y", length=0)
    grid[0, 0].set_yticks(places, [shorten(str(name)) for name in table["category"]])
    grid[0, 0].set_ylim(len(table) - 0.5, -0.5)
    part = excerpts.cut(len(table), whole, f"the first and the last {len(table)}", "categories.csv")
    figure.supxlabel(f"F1 ({part})" if part else "F1", fontsize=9)
    save(figure, path)


def f1_deltas(table: pd.DataFrame, a: str, b: str, path: str | Path) -> None:
    """Draw the difference in F1 of each category: a bar to the right where method a is better, to the left where b is.

    Of too many categories those with the largest differences are drawn.

    Args:
        table: columns category and delta, in the order to draw.
        a: the method whose F1 is taken first.
        b: the method whose F1 is subtracted.
        path: an SVG or PNG file.
    """
    whole, table = len(table), excerpts.both_ends(table, excerpts.MOST)
    places = np.arange(len(table))
    delta = table["delta"].to_numpy(np.float64)
    figure, axes = plt.subplots(figsize=(6.4, 0.24 * len(table) + 1.3), layout="constrained")
    axes.barh(places, delta, color=np.where(delta > 0, _BLUE, _ORANGE))
    for place, value in zip(places, delta, strict=True):
        side, align = (3, "left") if value >= 0 else (-3, "right")
        text = f"{value:+.3f}" if value else "0"
        axes.annotate(text, (value, place), (side, 0), textcoords="offset points", va="center", ha=align, fontsize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, [shorten(str(name)) for name in table["category"]])
    axes.set_ylim(len(table) - 0.5, -0.5)
    # Leaves room for the numbers beside the bars; the minimum keeps tiny differences from looking large.
    reach = max(0.05, 1.25 * float(np.abs(delta).max(initial=0)))
    axes.set_xlim(-reach, reach)
    part = excerpts.cut(len(table), whole, f"\nThe {len(table)} largest differences", f"{a}_vs_{b}.csv")
    axes.set_xlabel(f"F1 of {shorten(a)} minus F1 of {shorten(b)}{part}")
    axes.set_title(f"← {shorten(b)} better", loc="left", fontsize=9, color=_ORANGE)
    axes.set_title(f"{shorten(a)} better →", loc="right", fontsize=9, color=_BLUE)
    axes.grid(axis="x", alpha=0.3)
    save(figure, path)
