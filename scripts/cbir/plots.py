"""Pictures of tables and of query results. The same data give the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cbir.files import atomic
from cbir.images import thumbnail

matplotlib.use("Agg")
# File names may hold "$", which would be taken for mathematics.
matplotlib.rcParams.update({"svg.hashsalt": "cbir", "svg.fonttype": "none", "text.parse_math": False, "font.size": 9})

RIGHT, WRONG, NEUTRAL = "#1a7f37", "#c62828", "#57606a"
_TEXT_LENGTH = 24


@dataclass(frozen=True)
class Picture:
    """An image file with what stands below it.

    Attributes:
        path: the file.
        lines: text below the picture.
        right: True and False draw the frame and the mark of a right or wrong result; None draws neither.
    """

    path: str
    lines: Sequence[str]
    right: bool | None = None


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure whole or not at all, without dates, and close it."""
    metadata = {"Date": None} if str(path).endswith(".svg") else {"Software": None}
    with atomic(path) as temporary:
        figure.savefig(temporary, metadata=metadata, dpi=110)
    plt.close(figure)


def confusion(table: pd.DataFrame, path: str | Path) -> None:
    """Draw a confusion matrix: rows true, columns predicted, shaded by the share of the row.

    Args:
        table: first column the true category, then a column of counts for each predicted category.
        path: an SVG or PNG file.
    """
    counts = table.iloc[:, 1:].to_numpy(np.int64)
    names = [shorten(str(name)) for name in table.iloc[:, 0]]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.3 * len(names) + 1.8)
    figure, axes = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(shown, ax=axes, label="share of the true category", shrink=0.7)
    save(figure, path)


def categories(table: pd.DataFrame, path: str | Path) -> None:
    """Draw precision, recall and F1 of each category, best F1 on top.

    Args:
        table: columns category, precision, recall, f1, in the order to draw.
        path: an SVG or PNG file.
    """
    figure, axes = plt.subplots(figsize=(6.4, 0.26 * len(table) + 1.2), layout="constrained")
    places = np.arange(len(table))
    axes.barh(places, table["f1"], color="#9ec5e8", label="F1")
    axes.scatter(table["precision"], places, marker="|", s=60, color="#b35900", label="precision", zorder=3)
    axes.scatter(table["recall"], places, marker="x", s=22, color="#303a8c", label="recall", zorder=3)
    axes.set_yticks(places, [shorten(str(name)) for name in table["category"]])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    save(figure, path)


def strips(rows: Sequence[Sequence[Picture]], path: str | Path, title: str = "") -> None:
    """Draw rows of pictures: each row a query, then its results.

    Args:
        rows: the pictures; the first of each row stands apart as the query.
        path: an SVG or PNG file.
        title: a heading.
    """
    columns = max(len(row) for row in rows)
    figure, grid = plt.subplots(
        len(rows), columns, figsize=(1.75 * columns, 2.2 * len(rows) + 0.3 * bool(title)), squeeze=False, layout="constrained"
    )
    for axes_row, row in zip(grid, rows, strict=True):
        for axes, picture in zip(axes_row, row, strict=False):
            _draw(axes, picture)
        for axes in axes_row[len(row) :]:
            axes.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=10)
    save(figure, path)


def _draw(axes: Axes, picture: Picture) -> None:
    axes.imshow(np.asarray(thumbnail(picture.path, 180)))
    axes.set_xticks([])
    axes.set_yticks([])
    colour = NEUTRAL if picture.right is None else RIGHT if picture.right else WRONG
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(1 if picture.right is None else 3)
    if picture.right is not None:
        mark = "✓" if picture.right else "✗"
        axes.text(0.03, 0.97, mark, transform=axes.transAxes, va="top", color="white", fontsize=10, fontweight="bold",
                  bbox={"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.2"})  # fmt: skip
    axes.set_xlabel("\n".join(shorten(line) for line in picture.lines), fontsize=7)


def shorten(text: str) -> str:
    """Return text of one line that fits below a picture; the end is kept, since it tells file names apart."""
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= _TEXT_LENGTH else f"…{printable[-(_TEXT_LENGTH - 1) :]}"
