"""Pictures of 30 x 20 pixels, as small as they are; the limits are set lower."""

import base64
import io
import re

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


def test_each_picture_has_one_class_and_the_large_ones_are_larger(run: Run) -> None:
    asked = Thumbnails(run.images)
    names = [asked.ask(image) for image in ("cat/0.png", "dog/0.png", "cat/0.png")]
    assert names == ["i0", "i1", "i0"] and asked.ask("dog/0.png", large=True) == "i1"
    assert widths(asked.style()) == {"i0": 18, "i1": 27}
    assert asked.style() == asked.style()


def test_many_are_smaller_and_of_too_many_the_last_are_left_out(run: Run) -> None:
    asked = Thumbnails(run.images)
    for number in range(4):
        asked.ask(f"cat/{number}.png", large=number < 2)
    # Two large ones are too many as well.
    assert widths(asked.style()) == {"i0": 9, "i1": 9, "i2": 9}
    assert '.i3::before{content:"left out: too many pictures"}' in asked.style()


def test_an_image_that_is_none_of_the_collection_has_no_picture(run: Run) -> None:
    with pytest.raises(KeyError):
        Thumbnails(run.images).ask("elsewhere.png")
