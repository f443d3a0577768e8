"""Draw the history of a training."""

import math
from pathlib import Path
from types import ModuleType

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cbir.evaluation import measure
from cbir.files import tables
from cbir.files.printable import printable
from cbir.report import plots

_PANELS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Loss", {"loss": "mean over batches"}),
    ("Validation retrieval quality", {}),
    ("Share of active terms", {"active": "terms of the loss, such as triplets, above 0"}),
    ("Spread of the embeddings", {"spread": "r.m.s. distance to their mean"}),
)


def plot_history(history_csv: str | Path, svg_path: str | Path, title: str = "") -> None:
    """Draw ``history.csv`` of `cbir.training.train.train` as an SVG; the same history gives the same bytes.

    Args:
        history_csv: the history.
        svg_path: the picture.
        title: a heading.

    Raises:
        InputError: when the history is missing or lacks a column.
    """
    history = tables.read_csv(history_csv, ["epoch", "best", *(name for _, lines in _PANELS for name in lines)])
    metrics = measure.all_metrics()
    measured = {name: _label(metrics[name]) for name in history.columns if name in metrics}
    best = history["epoch"][history["best"].astype(bool)]
    figure = Figure(figsize=(8.4, 6.2), layout="constrained")
    figure.suptitle(printable(title), fontsize=10)
    first, last = float(history["epoch"].min()), float(history["epoch"].max())
    room = max(0.2, 0.03 * (last - first))
    for axes, (panel, lines) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS, strict=True):
        values = history[[*(lines or measured)]].replace("", "nan").astype(float)
        for name, label in (lines or measured).items():
            axes.plot(history["epoch"], values[name], marker=".", label=label)
        for epoch in best:
            axes.axvline(epoch, color="grey", linestyle=":", label="weights kept")
        axes.set_title(panel)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        # Leave room around the first and the last point, and above the highest one.
        axes.set_xlim(first - room, last + room)
        finite = values.to_numpy()[np.isfinite(values.to_numpy())]
        highest = float(finite.max(initial=0))
        axes.set_ylim(0, 1.08 * highest if highest > 0 else 1)
        axes.legend(frameon=False)
    plots.save(figure, svg_path)


def _label(metric: ModuleType) -> str:
    best = metric.RANGE[metric.HIGHER_IS_BETTER]
    meant = f"{best} is best" if math.isfinite(best) else f"{measure.better(metric)} is better"
    return f"{metric.NAME.format(k='k')} ({meant})"
