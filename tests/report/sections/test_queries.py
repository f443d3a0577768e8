from pathlib import Path

import numpy as np
from PIL import Image

from report_run import Run


def test_results_of_a_query_from_outside_are_neither_right_nor_wrong(run: Run) -> None:
    outside = run.folder / "elsewhere.png"
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(outside)
    run.names["query"] = ["elsewhere-1a"]
    run.query("plain", "elsewhere-1a", str(outside), None)
    part = run.section("queries")
    assert str(outside) in part.text
    assert [card.one("figcaption").text for card in part.all("figure")] == [
        "query from outside elsewhere.png",
        "cat 2.png distance 0.250, 87 %",
        "fish 5.png distance 0.500",
    ]
    assert len(part.all("img")) == 3


def test_a_query_that_is_new_to_the_gallery_is_marked(run: Run) -> None:
    image = run.image(0, 8)
    for is_new in (False, True):
        run.query("plain", "best", image, "cat", {"score": 2.0, "threshold": 1.0, "is_new": is_new})
        caption = run.section("queries").all("figure")[0].one("figcaption").text
        assert caption == "query cat 8.png" + (" nothing like it is here" if is_new else "")


def test_a_missing_picture_is_replaced_by_a_note(run: Run) -> None:
    Path(run.images["path"][8]).unlink()
    part = run.section("queries")
    assert part.one("div", **{"class": "gone"}).text == "picture cannot be read"
    assert len(part.all("img")) == 2
