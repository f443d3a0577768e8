import numpy as np
import pandas as pd
import pytest

from cbir.evaluation.suspects import SUSPECT_COLUMNS, scaled, suspects


def at(*degrees: float) -> np.ndarray:
    """Return vectors of different lengths in these directions, in degrees."""
    angles = np.radians(degrees)
    lengths = 1 + np.arange(len(angles)) % 5
    return scaled((np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None]).astype(np.float32))


def table(categories: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": [f"{name}/{number}" for number, name in enumerate(categories)],
            "category": list(categories),
            "label": [ord(name) - ord("a") for name in categories],
            "sha256": [f"{number:064}" for number in range(len(categories))],
        }
    )


def test_by_hand() -> None:
    # Four of a near 0 degrees, four of b near 90; one of a is among b, at 91 degrees; one of b is a little outside.
    images = table("aaaaabbbb")
    found = suspects(images, at(0, 1, 2, 3, 91, 89, 90, 92, 60), {}, k=3)
    assert list(found.columns) == SUSPECT_COLUMNS
    [row] = found.to_dict("records")
    assert {key: row[key] for key in SUSPECT_COLUMNS[:6]} == {
        "image_id": "a/4",
        "category": "a",
        "suggested": "b",
        "share": 1.0,
        "neighbours": 3,
        # Of those at 90 and 92 degrees, which are equally near, either may be.
        "nearest": row["nearest"],
    }
    assert row["nearest"] in ("b/6", "b/7")
    # Chords of 1 degree, and of 88 degrees to the nearest of a.
    assert row["distance"] == pytest.approx(2 * np.sin(np.radians(0.5)), rel=1e-4)
    assert row["own_distance"] == pytest.approx(2 * np.sin(np.radians(44)), rel=1e-4)


def test_an_image_with_a_near_neighbour_of_its_category_is_not_doubtful() -> None:
    # The neighbours of the first image are b, then a; if the second a moves by two degrees, it is the third.
    assert "a/0" not in set(suspects(table("aaabb"), at(0, 2, 3, 1, 60), {}, k=2)["image_id"])
    assert "a/0" in set(suspects(table("aaabb"), at(0, 4, 5, 1, 2), {}, k=2)["image_id"])


def test_near_duplicates_count_as_one_image() -> None:
    # A mislabelled image and its copy: each is the nearest of the other, and both are listed.
    images = table("aaaaabbbb")
    features = at(0, 1, 2, 90.5, 90.6, 89, 90, 92, 91)
    copies = {images["sha256"][3]: "x", images["sha256"][4]: "x"}
    assert suspects(images, features, {}, k=3).empty
    assert suspects(images, features, copies, k=3)["image_id"].tolist() == ["a/4", "a/3"]
    # Copies of another picture count once.
    images = table("cbbbc")
    copies = dict.fromkeys(images["sha256"][1:4], "y")
    found = suspects(images, at(0, 1, 1.1, 1.2, 40), copies, k=2)
    # The other c alone is looked at: a neighbour for each further picture of the own category.
    assert found[["image_id", "neighbours", "share"]].to_numpy().tolist() == [["c/0", 1, 1.0], ["c/4", 1, 1.0]]


def test_the_most_doubtful_come_first() -> None:
    # Three neighbours each. a/0 sees b, b, b; a/1 and a/2 see b, b, c, and a/2 is further from the other a; the last
    # is as near to the other a as to c.
    images = table("aaaa" + "bbbbbbb" + "ccc")
    found = suspects(images, at(0, 40, 88, 200, 0.5, 1, 1.5, 40.5, 41, 88.5, 89, 42, 90, 120), {}, k=3)
    of_a = found[found["category"] == "a"]
    assert of_a["image_id"].tolist() == ["a/0", "a/2", "a/1", "a/3"]
    assert of_a["share"].tolist() == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3])


def test_small_categories_and_vectors_of_zeros() -> None:
    # A category of one image has no neighbours of its own to miss.
    assert suspects(table("abb"), at(0, 10, 11), {}).empty
    assert len(suspects(table("aabb"), np.zeros((4, 3), np.float32), {})) <= 4


def test_in_a_large_collection_the_first_images_by_hash_are_searched() -> None:
    # Contents 0 to 3 are searched: c and b, b, b at 0 to 3 degrees; the last c is among the b, and the first c its only
    # other of c, at 90 degrees. Those of a are not searched, so that an a has no own picture to miss.
    images = table("cbbbaac")
    found = suspects(images, at(90, 1, 2, 3, 4, 5, 0), {}, k=2, most=4)
    assert found["image_id"].tolist() == ["c/6"]
    assert found[["neighbours", "suggested", "nearest"]].to_numpy().tolist() == [[1, "b", "b/1"]]
    assert found["own_distance"].tolist() == pytest.approx([np.sqrt(2)], rel=1e-6)
