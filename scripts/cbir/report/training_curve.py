"""Draw the history of a training."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cbir.files import tables
from cbir.report import plots

_PANELS = (
    ("Loss", {"loss": "mean hinge"}),
    ("Validation retrieval quality", {"map": "MAP (1 is best)", "anmrr": "ANMRR (0 is best)"}),
    ("Share of active triplets", {"active": "triplets that miss the margin"}),
    ("Spread of the embeddings", {"spread": "r.m.s. distance to their mean"}),
)


def plot_history(history_csv: str | Path, svg_path: str | Path) -> None:
    """Draw ``history.csv`` of `cbir.training.train.train` as an SVG; the same history gives the same bytes.

    Args:
        history_csv: the history.
        svg_path: the picture.

    Raises:
        InputError: when the history is missing or lacks a column.
    """
    history = tables.read_csv(history_csv, ["epoch", "best", *(name for _, lines in _PANELS for name in lines)])
    best = history["epoch"][history["best"].astype(bool)]
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS, strict=True):
        for name, label in lines.items():
            axes.plot(history["epoch"], history[name].replace("", "nan").astype(float), marker=".", label=label)
        for epoch in best:
            axes.axvline(epoch, color="grey", linestyle=":", label="weights kept")
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    plots.save(figure, svg_path)
