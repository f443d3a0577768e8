import math

import numpy as np
import pandas as pd
import pytest

from cbir.collection.categories import Relevant
from cbir.evaluation.evaluate import Evaluation, evaluate
from cbir.evaluation.judgements import Judgements, across_folds, by_list
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.retrieval.index import over
from evaluation.on_a_line import CATEGORIES, GALLERY, QUERIES, run, store

# GTM = 3 (category). NG = 3 for category, 2 for fish and tool.
# c/a: K = min(12, 6) = 6, ranks 1 2 4: AVR 7/3, (7/3 - 2) / (7.5 - 2) = 2/33.
# For NG = 2, K = min(8, 6) = 6 and NMRR = (AVR - 1.5) / (7.5 - 1.5).
# f/b: 1 5, AVR 3: 1/4.  f/c: 1 4, AVR 2.5: 1/6.  t/d: 0.
# t/e: 5 and 7, which is beyond K: 7.5, AVR 6.25: 4.75/6 = 19/24.
NMRR = [2 / 33, 1 / 4, 1 / 6, 0, 19 / 24]
# c/a: (1 + 1 + 3/4) / 3.  f/b: (1 + 2/5) / 2.  f/c: (1 + 2/4) / 2.  t/d: 1.  t/e: (1/5 + 2/7) / 2.
AVERAGE_PRECISION = [11 / 12, 7 / 10, 3 / 4, 1, 17 / 70]


def test_queries() -> None:
    table = run().queries
    assert table["image_id"].tolist() == list(QUERIES)
    assert table["category"].tolist() == ["category", "fish", "fish", "tool", "tool"]
    assert table["predicted"].tolist() == ["category", "category", "fish", "tool", "fish"]
    assert table["correct"].tolist() == [True, False, True, True, False]
    assert np.allclose(table["nmrr"], NMRR, rtol=1e-12)
    assert np.allclose(table["average_precision"], AVERAGE_PRECISION, rtol=1e-12)


def test_summary() -> None:
    found = run().summary
    expected = {
        "method": "m",
        "k": 3,
        "queries": 5,
        "gallery": 7,
        "accuracy": 3 / 5,
        "anmrr": sum(NMRR) / 5,
        "map": sum(AVERAGE_PRECISION) / 5,
        # Within the first NG: c/a 1 2 of 3; f/b and f/c rank 1 of 2; t/d both; t/e none.
        "map_at_r": (2 / 3 + 1 / 2 + 1 / 2 + 1 + 0) / 5,
        "r_precision": (2 / 3 + 1 / 2 + 1 / 2 + 1 + 0) / 5,
        # Hits in the first three: 2 1 1 2 0.
        "precision_at_k": 6 / 15,
        "recall_at_k": (2 / 3 + 1 / 2 + 1 / 2 + 1 + 0) / 5,
        # Ranks {1,2}: 1/7; {1}: 10/21; {1}; {1,2}; none: 1.
        "nmrr_at_k": (1 / 7 + 10 / 21 + 10 / 21 + 1 / 7 + 1) / 5,
        # category: precision 1/2, recall 1, F1 2/3; fish: 1/2, 1/2, 1/2; tool: 1, 1/2, 2/3.
        # Of each right image the mean of two precisions: c/a 1, 1 and that of 2/3 and 3/4; f/b 1 and that of 1/4 and
        # 2/5; f/c 1 and that of 1/3 and 2/4; t/e that of 0 and 1/5 and that of 1/6 and 2/7.
        "map_trapezoid": (65 / 72 + 53 / 80 + 17 / 24 + 1 + 137 / 840) / 5,
        # Only t/d has all its images within the first three: 2 of 2.
        "mp_at_k": (2 / 3 + 1 / 3 + 1 / 3 + 1 + 0) / 5,
        # All but t/e.
        "hit_at_k": 4 / 5,
        "macro_f1": (2 / 3 + 1 / 2 + 2 / 3) / 3,
        "worst_category": "fish",
        "features_sha256": {"train": "train", "test": "test"},
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        if isinstance(value, float):
            assert math.isclose(found[name], value, rel_tol=1e-12), name
        else:
            assert found[name] == value, name


def test_categories_are_sorted_by_f1_then_anmrr() -> None:
    table = run().categories
    # Equal F1: the lower ANMRR first, 2/33 before (0 + 19/24) / 2.
    assert table["category"].tolist() == ["category", "tool", "fish"]
    assert np.allclose(table["precision"], [1 / 2, 1, 1 / 2])
    assert np.allclose(table["recall"], [1, 1 / 2, 1 / 2])
    assert np.allclose(table["f1"], [2 / 3, 2 / 3, 1 / 2])
    assert table["support"].tolist() == [1, 2, 2]
    assert np.allclose(table["anmrr"], [2 / 33, 19 / 48, 5 / 24])


def test_confusion_with_a_category_called_category() -> None:
    table = run().confusion
    assert list(table.columns) == ["category", "category", "fish", "tool"]
    assert table.to_numpy().tolist() == [["category", 1, 0, 0], ["fish", 1, 1, 0], ["tool", 0, 1, 1]]


def test_neighbours() -> None:
    table = run().neighbours
    assert list(table.columns) == ["query", "rank", "image_id", "distance"]
    assert len(table) == 20
    rows = table[table["query"] == "t/e"]
    assert rows["rank"].tolist() == [1, 2, 3, 4]
    assert rows["image_id"].tolist() == ["c2", "f0", "f1", "c1"]
    assert rows["distance"].tolist() == [1, 3, 3, 4]


def test_the_examination_of_the_worst_category() -> None:
    worst = run().worst
    assert worst["category"] == "fish"
    assert (worst["precision"], worst["recall"], worst["f1"], worst["retrieved"]) == (0.5, 0.5, 0.5, 3)
    assert math.isclose(worst["anmrr_at_retrieved"], 10 / 21)
    assert [item["image_id"] for item in worst["images"]] == ["f/b", "f/c"]
    assert [item["retrieved"] for item in worst["images"]] == [["f0", "c1", "c2"], ["f1", "t0", "c2"]]
    assert all(math.isclose(item["nmrr_at_k"], 10 / 21) for item in worst["images"])
    # All counts of queries are 1: fish c and f, tool t and f. Its share of all draws is between a half and all.
    assert (worst["seed"], worst["resamples"]) == (0, 999)
    assert worst["lowest_in"][0]["category"] == "fish" and 0.5 < worst["lowest_in"][0]["share"] < 1
    assert [item["share"] for item in worst["lowest_in"]] == sorted(
        (item["share"] for item in worst["lowest_in"]), reverse=True
    )
    assert worst["taken_for"] == [{"category": "category", "count": 1}]
    assert worst["retrieved_instead"] == [{"category": "category", "count": 3}, {"category": "tool", "count": 1}]


def test_fewer_images_of_the_worst_category_are_a_seeded_choice() -> None:
    chosen = {run(worst_images=1, seed=seed).worst["images"][0]["image_id"] for seed in range(12)}
    assert chosen == {"f/b", "f/c"}
    assert run(worst_images=1, seed=4).worst == run(worst_images=1, seed=4).worst


def test_a_worst_category_without_wrong_results() -> None:
    gallery, queries = store({"c0": 0, "f0": 9}, "train"), store({"c/a": 1, "f/b": 8}, "test")
    found = evaluate(
        gallery,
        queries,
        CATEGORIES[:2],
        over(gallery.features, leafsize=8),
        k=1,
        neighbours=1,
        worst_images=1,
        worst_retrieved=1,
        seed=0,
    )
    assert found.summary["accuracy"] == 1
    assert found.worst["taken_for"] == found.worst["retrieved_instead"] == []


def test_more_neighbours_than_the_gallery_has() -> None:
    found = run(k=50, neighbours=99)
    # All seven vote: category has three of them.
    assert set(found.queries["predicted"]) == {"category"}
    assert found.summary["precision_at_k"] == pytest.approx((3 + 2 + 2 + 2 + 2) / 5 / 50)
    assert found.summary["recall_at_k"] == 1
    assert len(found.neighbours) == 35


def test_small_blocks_give_the_same() -> None:
    small, large = run(block_bytes=1), run()
    pd.testing.assert_frame_equal(small.queries, large.queries)
    pd.testing.assert_frame_equal(small.neighbours, large.neighbours)
    assert small.summary == large.summary


def test_a_kd_tree_that_disagrees_is_refused() -> None:
    moved = store(GALLERY, "train").features
    moved[3, 0] += 0.01
    with pytest.raises(InputError, match="KD-tree finds other neighbours than the exact search: remove results/index"):
        run(tree=over(moved, leafsize=8))


def test_nothing_to_evaluate_is_an_input_error() -> None:
    gallery, none = store(GALLERY, "train"), store({"c0": 0}, "x")
    none = FeatureStore(none.features[:0], none.image_id[:0], none.label[:0], none.sha256[:0])
    for train, test in ((gallery, none), (none, gallery)):
        with pytest.raises(InputError, match="no train or no test images"):
            evaluate(
                train,
                test,
                CATEGORIES,
                over(gallery.features, leafsize=8),
                k=3,
                neighbours=1,
                worst_images=1,
                worst_retrieved=1,
                seed=0,
            )


def test_labels_without_a_category_are_refused() -> None:
    gallery, queries = store(GALLERY, "train"), store(QUERIES, "test")
    with pytest.raises(InputError, match="labels without a category"):
        evaluate(
            gallery,
            queries,
            CATEGORIES[:2],
            over(gallery.features, leafsize=8),
            k=3,
            neighbours=1,
            worst_images=1,
            worst_retrieved=1,
            seed=0,
        )


# Each image is a query: its right image is at rank 1, except that of f0 at 2 (f0 is 1.5 from c1 and 2 from f1).
ITSELF = {"c0": 0, "c1": 1, "f0": 2.5, "f1": 4.5}


TWO = Relevant(CATEGORIES[:2])


def evaluate_leave_one_out(judged: Judgements, **changes: object) -> Evaluation:
    images = store(ITSELF, "test")
    settings = {"k": 1, "neighbours": 9, "worst_images": 2, "worst_retrieved": 9, "seed": 0} | changes
    index = over(images.features, leafsize=8)
    return evaluate(images, images, CATEGORIES[:2], index, judgements=judged, **settings)


def test_each_image_is_searched_among_all_others() -> None:
    found = evaluate_leave_one_out(across_folds(store(ITSELF, "test").label, np.arange(4), TWO))
    assert found.queries["predicted"].tolist() == ["category", "category", "category", "fish"]
    # NG = GTM = 1, so K = 2: at rank 2 NMRR is (2 - 1) / (2.5 - 1).
    assert found.queries["nmrr"].tolist() == pytest.approx([0, 0, 2 / 3, 0])
    assert found.queries["average_precision"].tolist() == [1, 1, 1 / 2, 1]
    assert found.cmc.to_dict("list") == {"rank": [1, 2, 3, 4], "cmc": [3 / 4, 1, 1, 1]}
    assert found.neighbours["image_id"].tolist() == [
        *("c1", "f0", "f1"),
        *("c0", "f0", "f1"),
        *("c1", "f1", "c0"),
        *("f0", "c1", "c0"),
    ]
    assert found.neighbours["distance"].tolist() == [1, 2.5, 4.5, 1, 1.5, 3.5, 1.5, 2, 2.5, 2, 3.5, 4.5]
    assert [item["retrieved"] for item in found.worst["images"]] == [["c1", "f1", "c0"], ["f0", "c1", "c0"]]
    assert found.summary["gallery"] == found.summary["queries"] == 4
    assert found.summary["features_sha256"] == {"test": "test"}
    assert "unseen_gallery" not in found.summary and "folds" not in found.summary and found.folds is None


def test_folds_have_figures_and_a_mean_with_an_interval() -> None:
    folds = np.array([1, 2, 1, 2])
    found = evaluate_leave_one_out(across_folds(store(ITSELF, "test").label, folds, TWO), folds=folds)
    # c0 and f0 search c1 and f1, and vice versa.
    assert found.neighbours["image_id"].tolist() == ["c1", "f1", "c0", "f0", "c1", "f1", "f0", "c0"]
    assert found.folds[["fold", "queries", "map"]].to_numpy().tolist() == [[1, 2, 3 / 4], [2, 2, 1]]
    assert found.summary["map"] == 7 / 8
    # Of two values 1/4 apart the deviation is 1/4 / sqrt 2, and t of one degree of freedom at 97.5 % is 12.7062.
    assert found.summary["folds"]["map"] == pytest.approx(
        {"mean": 7 / 8, "low": 7 / 8 - 12.7062047 / 8, "high": 7 / 8 + 12.7062047 / 8}
    )


def test_judgements_decide_relevance_and_all_their_setups_are_measured() -> None:
    rows = [("t/e", "c2", "junk"), ("t/e", "f0", "easy"), ("t/e", "t0", "hard"), ("c/a", "c1", "easy")]
    table = pd.DataFrame(rows, columns=["query", "image_id", "grade"])
    gallery, queries = store(GALLERY, "train"), store({"c/a": 0.1, "t/e": 5}, "test")
    setups = {name: by_list(table, queries.image_id, gallery.image_id, name) for name in ("easy", "medium", "hard")}
    settings = {"k": 1, "neighbours": 2, "worst_images": 1, "worst_retrieved": 2, "seed": 0, "setups": setups}
    index = over(gallery.features, leafsize=8)
    found = evaluate(gallery, queries, CATEGORIES, index, judgements=setups["medium"], **settings)
    # t/e without c2: f0 f1 c1 t0 ..., right at 1 and 4: (1 + 1) / 2 and (1/3 + 2/4) / 2. c/a: c0 c1, right at 2: 1/4.
    assert found.queries["average_precision"].tolist() == [1 / 2, 3 / 4]
    assert found.neighbours["image_id"].tolist() == ["c0", "c1", "f0", "f1"]
    assert found.summary["setups"] == {
        "easy": {"queries": 2, "map_trapezoid": (1 / 4 + 1) / 2, "mp_at_1": 0.5, "mp_at_5": 0.75, "mp_at_10": 0.75},
        "medium": {
            "queries": 2,
            "map_trapezoid": pytest.approx((1 / 4 + 17 / 24) / 2),
            "mp_at_1": 0.5,
            "mp_at_5": 0.5,
            "mp_at_10": 0.5,
        },
        # Without c2 and f0: f1 c1 t0, right at 3: (0 + 1/3) / 2.
        "hard": {"queries": 1, "map_trapezoid": 1 / 6, "mp_at_1": 0, "mp_at_5": 1 / 3, "mp_at_10": 1 / 3},
    }


def test_judgements_without_relevant_images_are_an_input_error() -> None:
    labels = store(ITSELF, "test").label
    with pytest.raises(InputError, match="The gallery holds no image to find for 'c0'"):
        evaluate_leave_one_out(across_folds(labels, np.zeros(4, int), TWO))
    with pytest.raises(InputError, match="No query has a right image in the gallery"):
        evaluate_leave_one_out(across_folds(labels, labels, TWO))


def test_images_of_several_categories() -> None:
    categories = ["bird", "bird / water", "fish / water", "rock"]

    def made(images: list[tuple[str, float, int]], split: str) -> FeatureStore:
        names = np.array([name for name, _, _ in images], object)
        features = np.array([[place, 0] for _, place, _ in images], np.float32)
        return FeatureStore(features, names, np.array([label for *_, label in images]), names, {"method": "m"})

    # At 0 bird, 1 bird and water, 2 rock, 4 fish and water, 8 rock.
    gallery = made([("b", 0, 0), ("bw", 1, 1), ("r", 2, 3), ("fw", 4, 2), ("s", 8, 3)], "train")
    # The first shares a category with b, bw and fw at ranks 1, 2 and 4. Votes: bird, bird and water, rock. It counts as
    # bird, of which there are 3 images and of water 4. The second shares one with fw and bw at ranks 1 and 4. Votes:
    # fish and water, rock, rock; it counts as fish, of which there are 2.
    queries = made([("x", 0.1, 1), ("y", 5, 2)], "test")
    found = evaluate(
        *(gallery, queries, categories, over(gallery.features, leafsize=8)),
        **{"k": 3, "neighbours": 4, "worst_images": 5, "worst_retrieved": 3, "seed": 0, "val": gallery},
    )
    assert found.queries[["category", "predicted", "correct"]].to_numpy().tolist() == [
        ["bird", "bird", True],
        ["fish", "rock", False],
    ]
    assert found.queries["average_precision"].tolist() == pytest.approx([11 / 12, 3 / 4])
    assert found.confusion.to_numpy().tolist() == [
        ["bird", 1, 0, 0, 0],
        ["fish", 0, 0, 1, 0],
        ["rock", 0, 0, 0, 0],
        ["water", 0, 0, 0, 0],
    ]
    assert found.categories[["category", "precision", "f1", "support"]].to_numpy().tolist() == [
        ["bird", 1, 1, 1],
        ["fish", 0, 0, 1],
    ]
    assert (found.summary["accuracy"], found.summary["macro_f1"], found.summary["precision_at_k"]) == (0.5, 0.5, 0.5)
    # Ranks 1, 2, 4 of NG 3 with K = min(12, 6) = 6: (7/3 - 2) / (7.5 - 2); 1 and 4 of NG 2: (2.5 - 1.5) / (7.5 - 1.5).
    assert found.summary["anmrr"] == pytest.approx((2 / 33 + 1 / 6) / 2)
    # The gallery, used again as val images.
    assert found.summary["unseen_gallery"]["anmrr"] == found.summary["anmrr"]
    assert found.worst["category"] == "fish" and found.worst["retrieved_instead"] == [{"category": "rock", "count": 2}]
