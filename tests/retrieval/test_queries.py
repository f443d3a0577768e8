import numpy as np
import pandas as pd

from cbir.features.store import FeatureStore
from cbir.retrieval import index
from cbir.retrieval import queries as querying

# On a line; two images at 4.
PLACES = [0, 4, 9, 4, 1]
GALLERY = FeatureStore(
    np.array([[place] for place in PLACES], np.float32),
    np.array(["a/0", "a/1", "b/2", "b/3", "b/4"], object),
    np.array([0, 0, 1, 1, 1]),
    np.array(list("vwxyz"), object),
)
TREE = index.over(GALLERY.features, leafsize=2)


def test_results_have_rank_label_and_distance() -> None:
    found = querying.nearest(TREE, GALLERY, np.array([3.0]), 4)
    assert found == [
        querying.Neighbour(1, "a/1", 0, 1.0),
        querying.Neighbour(2, "b/3", 1, 1.0),
        querying.Neighbour(3, "b/4", 1, 2.0),
        querying.Neighbour(4, "a/0", 0, 3.0),
    ]


def test_a_query_of_the_gallery_is_not_its_own_result() -> None:
    found = querying.nearest(TREE, GALLERY, np.array([4.0]), 2, exclude="b/3")
    assert [(item.rank, item.image_id, item.distance) for item in found] == [(1, "a/1", 0.0), (2, "b/4", 3.0)]


def test_k_of_one_and_k_beyond_the_gallery() -> None:
    assert [item.image_id for item in querying.nearest(TREE, GALLERY, np.array([10.0]), 1)] == ["b/2"]
    assert len(querying.nearest(TREE, GALLERY, np.array([10.0]), 99)) == 5
    assert len(querying.nearest(TREE, GALLERY, np.array([10.0]), 99, exclude="a/0")) == 4


def test_examples_are_chosen_from_the_best_middling_and_worst_category() -> None:
    categories = pd.DataFrame({"category": ["good", "fair", "bad"], "f1": [1.0, 0.8, 0.1]})
    queries = pd.DataFrame(
        [
            (f"{category}/{number}", category, nmrr)
            for category in ("bad", "fair", "good")
            for number, nmrr in enumerate((0.3, 0.1, 0.2))
        ],
        columns=["image_id", "category", "nmrr"],
    )
    assert querying.choose("best", categories, queries) == "good/1"
    assert querying.choose("middling", categories, queries) == "fair/2"
    assert querying.choose("worst", categories, queries) == "bad/0"
    assert querying.choose("worst", categories[:1], queries[queries["category"] == "good"]) == "good/0"


def test_results_as_data() -> None:
    found = querying.nearest(TREE, GALLERY, np.array([3.0]), 2)
    data = querying.as_data("a/q", "A", "m", found, ["A", "B"])
    assert data == {
        "query": "a/q",
        "category": "A",
        "method": "m",
        "k": 2,
        "novelty": None,
        "neighbours": [
            {"rank": 1, "image_id": "a/1", "category": "A", "distance": 1.0, "probability": None, "right": True},
            {"rank": 2, "image_id": "b/3", "category": "B", "distance": 1.0, "probability": None, "right": False},
        ],
    }
    novelty = {"score": 1.0, "threshold": 0.5, "is_new": True}
    sure = querying.as_data("a/q", "A", "m", found, ["A", "B"], [0.75, 0.75], novelty)
    assert sure["novelty"] == novelty
    assert [item["probability"] for item in sure["neighbours"]] == [0.75, 0.75]
    unknown = querying.as_data("photo.jpg", "", "m", found, ["A", "B"])
    assert unknown["category"] is None
    assert [item["right"] for item in unknown["neighbours"]] == [None, None]


def test_examples_are_drawn_by_content_and_seed() -> None:
    drawn = [querying.draw(GALLERY.image_id, GALLERY.sha256, 0, place) for place in range(5)]
    assert sorted(drawn) == sorted(GALLERY.image_id)
    backwards = querying.draw(GALLERY.image_id[::-1], GALLERY.sha256[::-1], 0, 1)
    assert backwards == drawn[1]
    assert querying.draw(GALLERY.image_id, GALLERY.sha256, 0, 6) == drawn[1]
    assert any(querying.draw(GALLERY.image_id, GALLERY.sha256, seed, 0) != drawn[0] for seed in range(1, 9))


def test_images_without_categories_are_neither_right_nor_wrong() -> None:
    found = [querying.Neighbour(1, "x", -1, 0.5)]
    data = querying.as_data("y", "", "plain", found, [])
    assert (data["category"], data["neighbours"][0]["category"], data["neighbours"][0]["right"]) == (None, None, None)
