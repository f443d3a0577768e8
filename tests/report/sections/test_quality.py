from typing import Any

import pandas as pd

from cbir.collection.columns import HASHES_COLUMNS, NEAR_DUPLICATE_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from report_run import Run


def near(run: Run, rows: list[list[Any]]) -> None:
    """Write near-duplicates; a row is group, label, number of the image, split, across splits, across categories."""
    table = [
        [
            group,
            run.image(label, number),
            run.categories[label],
            split,
            run.image(label, 0),
            9,
            0,
            splits,
            categories,
            0,
        ]
        for group, label, number, split, splits, categories in rows
    ]
    run.csv("collection/near_duplicates.csv", pd.DataFrame(table, columns=NEAR_DUPLICATE_COLUMNS))


def test_near_duplicates_are_counted_and_shown(run: Run) -> None:
    rows: list[list[Any]] = [[1, 0, 1, "train", 1, 1], [1, 1, 7, "test", 1, 1], [2, 2, 1, "test", 0, 0]]
    hashes = pd.DataFrame([["aa", "", "", "", ""], ["bb", *["0f" * 32] * 4]], columns=HASHES_COLUMNS)
    near(run, [*rows, [2, 2, 2, "test", 0, 0]])
    run.csv("collection/hashes.csv", hashes)
    part = run.section("quality")
    assert "4 images in 2 groups are near-duplicates" in part.text
    assert "1 group is spread over several splits" in part.text and "leave too few images" in part.text
    assert "1 group has images of several categories" in part.text
    assert "1 image was not compared" in part.text and "near_duplicates.csv" in part.text
    assert "open" in part.one("details").attrs
    assert [title.text for title in part.all("p", **{"class": "strip-title"})] == [
        "Group 1: 2 images, in several splits, in several categories",
        "Group 2: 2 images",
    ]
    assert [card.one("figcaption").text for card in part.all("figure")][:2] == [
        "cat 1.png train, distance 9",
        "dog 7.png test, distance 9",
    ]
    assert len(part.all("img")) == 4
    run.config["split"]["near_duplicates"]["together"] = False
    assert "split.near_duplicates.together is off" in run.section("quality").text.replace("  ", " ")


def test_the_numbers_of_groups_and_of_their_images_are_limited(run: Run) -> None:
    rows = [[1, 0, number, "train", 0, 0] for number in range(10)]
    rows += [[group, 1, number, "train", 0, 0] for group in range(2, 22) for number in (1, 2)]
    near(run, rows)
    part = run.section("quality")
    assert "The first 12 of 21 groups" in part.text
    assert "No group is spread over several splits." in part.text
    assert "open" not in part.one("details").attrs
    assert part.all("p", **{"class": "strip-title"})[0].text == "Group 1: 10 images"
    assert len(part.all("img")) == 6 + 11 * 2


def test_a_collection_without_problems(run: Run) -> None:
    part = run.section("quality")
    assert "No two images are near-duplicates" in part.text
    assert "Every image has a neighbour of its own category." in part.text
    assert not part.all("details")


def test_doubtful_labels_are_shown_with_their_neighbour_and_limited(run: Run) -> None:
    rows = [[run.image(0, number % 10), "cat", "dog", 0.7, 10, run.image(1, 3), 0.4, 0.5] for number in range(30)]
    run.csv("collection/suspects.csv", pd.DataFrame(rows, columns=SUSPECT_COLUMNS))
    part = run.section("quality")
    assert "No two images are near-duplicates" in part.text
    assert "30 images have no nearest neighbour of their own category" in part.text
    assert "The 24 clearest of 30" in part.text and "suspects.csv" in part.text
    assert [card.one("figcaption").text for card in part.all("figure")][:2] == [
        "labelled cat 0.png 7 of 10: dog",
        "nearest: dog 3.png",
    ]
    assert len(part.all("img")) == 48
