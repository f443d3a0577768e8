from pathlib import Path

import pytest
from matplotlib.figure import Figure

from cbir.files.errors import InputError
from cbir.report import training_curve
from cbir.report.training_curve import plot_history

HISTORY = """epoch,images,loss,active,spread,map,anmrr,best
0,0,,,,0.4,0.5,0
1,64,0.2,0.9,0.3,0.5,0.4,1
2,128,0.1,0.5,0.4,0.45,0.45,0
"""


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HISTORY)
    plot_history(tmp_path / "history.csv", tmp_path / "a.svg")
    plot_history(tmp_path / "history.csv", tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.svg").read_text().count('<g id="axes_') == 4


def test_a_different_history_gives_a_different_picture(tmp_path: Path) -> None:
    for name, text in (("a", HISTORY), ("b", HISTORY.replace("0.45,0.45", "0.5,0.3"))):
        (tmp_path / f"{name}.csv").write_text(text)
        plot_history(tmp_path / f"{name}.csv", tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()


def test_no_point_is_at_the_edge_of_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(training_curve.plots, "save", lambda figure, path: drawn.append(figure))
    # The first and the last point are the highest, and one loss is infinite.
    (tmp_path / "history.csv").write_text(HISTORY.replace("0,0,,,,0.4,0.5", "0,0,inf,0.9,0.4,0.4,0.5"))
    plot_history(tmp_path / "history.csv", tmp_path / "a.svg", "Training of net")
    [figure] = drawn
    assert figure.get_suptitle() == "Training of net"
    for axes, highest in zip(figure.axes, (0.2, 0.5, 0.9, 0.4), strict=True):
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert left < 0 and right > 2
        assert low == 0 and high == pytest.approx(1.08 * highest)


def test_a_history_without_a_column_is_reported(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(InputError, match="lacks the column"):
        plot_history(tmp_path / "history.csv", tmp_path / "a.svg")
