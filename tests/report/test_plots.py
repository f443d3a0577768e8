from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cbir.files.errors import InputError
from cbir.report import plots
from conftest import picture
from report_run import calibrated

CONFUSION = pd.DataFrame([["a<b&c", 4, 0], ["$x$\n漢", 1, 2]], columns=["category", "a<b&c", "$x$\n漢"])
CATEGORIES = pd.DataFrame({"category": ["a", "b"], "precision": [1, 0.5], "recall": [0.7, 0.2], "f1": [0.8, 0.3]})


# The default font of Matplotlib has no Chinese characters.
pytestmark = pytest.mark.filterwarnings("ignore:Glyph 28450")


@pytest.fixture
def rows(collection: Path) -> list[list[plots.Picture]]:
    query = plots.Picture(str(collection / "sea/0.png"), ["query", "0.png"])
    right = plots.Picture(str(collection / "sea/1.png"), ["sea/1.png", "0.123"], True)
    wrong = plots.Picture(str(collection / "leaf/1.png"), ["<img src=x>$_^$\n", "0.456"], False)
    return [[query, right, wrong], [query, right]]


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_data_give_the_same_bytes(rows: list[list[plots.Picture]], tmp_path: Path, suffix: str) -> None:
    for number in (1, 2):
        plots.confusion(CONFUSION, tmp_path / f"confusion{number}{suffix}")
        plots.categories(CATEGORIES, tmp_path / f"categories{number}{suffix}")
        plots.strips(rows, tmp_path / f"strips{number}{suffix}", "m: sea/0.png")
    for name in ("confusion", "categories", "strips"):
        first, second = ((tmp_path / f"{name}{number}{suffix}").read_bytes() for number in (1, 2))
        assert first == second, name


def test_a_confusion_matrix_shows_its_counts_and_escapes_names(tmp_path: Path) -> None:
    plots.confusion(CONFUSION, tmp_path / "c.svg")
    text = (tmp_path / "c.svg").read_text(encoding="utf-8")
    for shown in (">4<", ">1<", ">2<", "a&lt;b&amp;c", r"$x$\n漢"):
        assert shown in text, shown
    assert "<b&c" not in text


def test_right_and_wrong_differ_in_mark_and_in_colour(rows: list[list[plots.Picture]], tmp_path: Path) -> None:
    plots.strips(rows, tmp_path / "s.svg", "title\nwith a break")
    text = (tmp_path / "s.svg").read_text(encoding="utf-8")
    assert (text.count("✓"), text.count("✗")) == (2 + text.count("<!-- ✓"), 1 + text.count("<!-- ✗"))
    assert plots.RIGHT in text
    assert plots.WRONG in text
    assert "<img" not in text
    assert r"title\nwith a break" in text


def test_the_picture_shows_the_images(rows: list[list[plots.Picture]], tmp_path: Path) -> None:
    plots.strips(rows, tmp_path / "s.png")
    pixels = np.asarray(Image.open(tmp_path / "s.png").convert("RGB")).astype(int)
    # The sea is blue, the leaf is green: about a sixth of the width each.
    blue = (pixels[..., 2] > pixels[..., 0] + 60) & (pixels[..., 2] > pixels[..., 1] + 60)
    green = (pixels[..., 1] > pixels[..., 0] + 60) & (pixels[..., 1] > pixels[..., 2] + 60)
    assert blue.sum() > 3 * green.sum() > 10_000


def test_a_missing_image_is_named(rows: list[list[plots.Picture]], collection: Path, tmp_path: Path) -> None:
    (collection / "leaf/1.png").unlink()
    with pytest.raises(InputError, match=r"leaf/1\.png cannot be shown \(does not exist\)"):
        plots.strips(rows, tmp_path / "s.png")
    assert not (tmp_path / "s.png").exists()


def test_one_category_and_no_counts(tmp_path: Path) -> None:
    plots.confusion(pd.DataFrame([["a", 0]], columns=["category", "a"]), tmp_path / "c.svg")
    plots.categories(CATEGORIES[:1], tmp_path / "f.svg")
    assert (tmp_path / "c.svg").stat().st_size > 1000


def test_long_names_keep_their_beginning_and_end() -> None:
    assert plots.shorten("short.png") == "short.png"
    assert plots.shorten("x" * 24) == "x" * 24
    assert plots.shorten("category/a-very-long-name-0012.png") == "category…g-name-0012.png"
    assert len(plots.shorten("category/a-very-long-name-0012.png")) == 24
    assert plots.shorten("a\u202eb\n") == r"a\u202eb\n"


def test_all_figures_are_closed(tmp_path: Path) -> None:
    plt.close("all")
    plots.categories(CATEGORIES, tmp_path / "f.svg")
    picture(0, 0).save(tmp_path / "p.png")
    plots.strips([[plots.Picture(str(tmp_path / "p.png"), [])]], tmp_path / "s.png")
    assert plt.get_fignums() == []


def many(categories: int) -> pd.DataFrame:
    """Return a confusion matrix in which the last three categories are confused with one another."""
    counts = np.diag(np.full(categories, 3))
    counts[-3:, -3:] += 1
    names = [f"c{number:04}" for number in range(categories)]
    table = pd.DataFrame(counts, columns=names)
    table.insert(0, "category", names)
    return table


def test_pictures_of_many_categories_have_a_limited_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots.excerpts, "MOST", 6)
    whole = many(300)
    f1 = pd.DataFrame({"category": whole["category"], "precision": 1.0, "recall": 1.0, "f1": np.linspace(1, 0, 300)})
    plots.confusion(whole, tmp_path / "confusion.svg")
    plots.categories(f1, tmp_path / "categories.svg")
    plots.method_categories(f1[["category", "precision", "f1"]], tmp_path / "methods.svg")
    plots.f1_deltas(f1.assign(delta=f1["f1"] - 0.5), "a", "b", tmp_path / "pair.svg")
    for name in ("confusion", "categories", "methods", "pair"):
        text = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        shown = {number for number in range(300) if f">c{number:04}<" in text}
        assert shown == {0, 1, 2, 297, 298, 299}, name
        assert "of 300 categories" in text, name


def test_all_categories_are_drawn_if_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots.excerpts, "MOST", 6)
    plots.confusion(many(6), tmp_path / "c.svg")
    text = (tmp_path / "c.svg").read_text(encoding="utf-8")
    assert all(f">c{number:04}<" in text for number in range(6))
    assert "most confused" not in text


def test_calibration_is_drawn_and_a_missing_one_is_explained(tmp_path: Path) -> None:
    for number in (1, 2):
        plots.calibration(calibrated(), tmp_path / f"{number}.svg")
    text = (tmp_path / "1.svg").read_text(encoding="utf-8")
    assert (tmp_path / "2.svg").read_text(encoding="utf-8") == text
    for shown in ("expected calibration error 0.150", "predicted probability", ">8<", ">4<"):
        assert shown in text, shown
    plots.calibration(calibrated(probability={"too_few": "There are too few."}), tmp_path / "few.svg")
    assert "There are too few." in (tmp_path / "few.svg").read_text(encoding="utf-8")


def test_pictures_of_any_shape_have_their_frames_and_texts_at_the_same_heights(tmp_path: Path) -> None:
    shapes = ((300, 60), (60, 300), (20, 20))
    figure, row = plt.subplots(1, len(shapes), layout="constrained")
    for axes, size in zip(row, shapes, strict=True):
        Image.new("RGB", size, "navy").save(tmp_path / "p.png")
        plots.draw(axes, plots.Picture(str(tmp_path / "p.png"), ["one line"]))
    figure.canvas.draw()
    boxes = [axes.get_window_extent().bounds for axes in row]
    assert {round(box[1]) for box in boxes} == {round(boxes[0][1])} and {round(box[3]) for box in boxes} == {
        round(boxes[0][2])
    }
    assert len({round(axes.xaxis.label.get_window_extent().y1) for axes in row}) == 1
    plt.close(figure)


def test_the_title_is_right_above_the_pictures(
    rows: list[list[plots.Picture]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Figure] = []
    monkeypatch.setattr(plots, "save", lambda figure, path: kept.append(figure))
    plots.strips(rows, tmp_path / "s.png", "m: sea/0.png")
    (figure,) = kept
    figure.canvas.draw()
    title = figure.texts[0].get_window_extent()
    top = max(axes.get_window_extent().y1 for axes in figure.axes)
    assert 0 < title.y0 - top < title.height
    plt.close(figure)


def test_a_picture_has_a_title_and_a_description(tmp_path: Path) -> None:
    plots.confusion(CONFUSION, tmp_path / "c.svg", "Confusion matrix of <m>")
    plots.categories(CATEGORIES, tmp_path / "f.svg", "Categories with <m>")
    assert ">Confusion matrix of &lt;m&gt;<" in (tmp_path / "c.svg").read_text(encoding="utf-8")
    plots.calibration(calibrated(), tmp_path / "s.svg", "How sure a result of <m> is")
    assert ">How sure a result of &lt;m&gt; is<" in (tmp_path / "s.svg").read_text(encoding="utf-8")
    assert ">Categories with &lt;m&gt;<" in (tmp_path / "f.svg").read_text(encoding="utf-8")
