"""Thumbnails of pictures of 30 x 20 pixels, with lower limits."""

import base64
import io
import re
import threading
from typing import Any

import pytest
from PIL import Image

from cbir.report import thumbnails
from cbir.report.thumbnails import Thumbnails
from report_run import Run


def widths(style: str) -> dict[str, int]:
    found = re.findall(r"\.(i\d+)\{background-image:url\(data:image/jpeg;base64,([^)]*)\)\}", style)
    return {name: Image.open(io.BytesIO(base64.b64decode(data))).width for name, data in found}


@pytest.fixture(autouse=True)
def sides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SIDE": 18, "FEWER_SIDE": 9, "LARGE_SIDE": 27, "MANY": 2, "MOST": 3, "MOST_LARGE": 1}.items():
        monkeypatch.setattr(thumbnails, name, value)


def test_each_picture_has_one_class_and_a_large_one_its_larger_width(run: Run) -> None:
    thumbnails = Thumbnails(run.images)
    names = [thumbnails.ask(image) for image in ("cat/0.png", "dog/0.png", "cat/0.png")]
    assert names == ["i0", "i1", "i0"] and thumbnails.ask("dog/0.png", large=True) == "i1"
    assert widths(thumbnails.style()) == {"i0": 18, "i1": 27}
    assert thumbnails.style() == thumbnails.style()


def test_many_thumbnails_are_smaller_and_surplus_ones_are_omitted(run: Run) -> None:
    thumbnails = Thumbnails(run.images)
    for number in range(4):
        thumbnails.ask(f"cat/{number}.png", large=number < 2)
    # Two large thumbnails are too many, too.
    assert widths(thumbnails.style()) == {"i0": 9, "i1": 9, "i2": 9}
    assert '.i3::before{content:"left out: too many pictures"}' in thumbnails.style()


def test_an_image_outside_the_collection_has_no_thumbnail(run: Run) -> None:
    with pytest.raises(KeyError):
        Thumbnails(run.images).ask("elsewhere.png")


def test_threads_make_the_same_style_at_the_same_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Thumbnails(run.images)
    for name in ("cat/0.png", "dog/0.png"):
        made.ask(name)
    alone = made.style()
    # Two pictures wait for each other, which one thread alone cannot do.
    both, picture = threading.Barrier(2, timeout=60), thumbnails.pictures.picture

    def wait(path: str, *settings: Any) -> str:
        both.wait()
        return picture(path, *settings)

    monkeypatch.setattr(thumbnails.pictures, "picture", wait)
    assert made.style(2) == alone
