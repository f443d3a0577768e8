import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import plot_simulation
import simulate as simulate_job
from cbir.features import store
from cbir.feedback.records import GAIN_COLUMNS
from cbir.feedback.refinement import Round
from cbir.feedback.rounds import Gallery, Search
from cbir.feedback.simulation import choose, judge_by_category, measure, simulate
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError

# On a line: the query at 0, then cat 1, dog 2, cat 3, dog 4, dog 5, cat 6.
IDS = ["cat/1", "dog/2", "cat/3", "dog/4", "dog/5", "cat/6"]


def search(category: str | None = "cat", k: int = 2) -> Search:
    features = np.array([[1], [2], [3], [4], [5], [6]], dtype=np.float32)
    gallery = Gallery(features, IDS, np.array([image_id[:3] for image_id in IDS]))
    return Search(gallery, np.zeros(1), k, "rocchio", Weights(1, 5, 0), category=category)


def test_the_simulated_user_judges_the_results_by_their_category() -> None:
    assert judge_by_category(search(k=5).start()) == Round(relevant=(0, 2), irrelevant=(1, 3, 4))
    with pytest.raises(ValueError, match="category"):
        judge_by_category(search(category=None).start())


def test_each_round_is_judged_on_its_own_results() -> None:
    # Round 0 shows cat/1 and dog/2. q' = 5 mean(1) = 5: dog/5 and dog/4 (1 before cat/6, by row).
    # Round 2 knows cat/1, dog/2, dog/4, dog/5; the query stays at 5.
    results = [result for [result] in simulate([search()], 2)]
    assert [result.image_ids for result in results] == [["cat/1", "dog/2"], ["dog/5", "dog/4"], ["dog/5", "dog/4"]]
    assert results[2].relevant.tolist() == [0]
    assert results[2].irrelevant.tolist() == [1, 3, 4]


def test_gains_worked_by_hand() -> None:
    gain = measure([search()], 2, gtm=3)
    assert gain.judged.tolist() == [[0, 2, 4]]
    # cat/1, dog/2 | dog/5, dog/4 | dog/5, dog/4
    assert gain.precision.tolist() == [[0.5, 0, 0]]
    # Round 1 without cat/1 and dog/2: dog/5, dog/4, cat/6, cat/3 -> 0. Round 2 without dog/4, dog/5: cat/6, cat/3 -> 1.
    assert gain.residual_precision.tolist() == [[0.5, 0, 1]]
    # The plain ranking without the same images: cat/3, dog/4, dog/5, cat/6 -> 1/2; cat/3, cat/6 -> 1.
    assert gain.residual_precision_plain.tolist() == [[0.5, 0.5, 1]]
    # NMRR, K = min(4 NG, 6) = 6. Round 0: NG 3, ranks 1, 3, 6: AVR 10/3; (10/3 - 2) / (7.5 - 2) = 8/33.
    # Round 1: NG 2, ranks 3, 4: (3.5 - 1.5) / (7.5 - 1.5) = 1/3; plain, ranks 1, 4: (2.5 - 1.5) / 6 = 1/6.
    # Round 2: ranks 1, 2: 0 for both.
    np.testing.assert_allclose(gain.residual_nmrr, [[8 / 33, 1 / 3, 0]])
    np.testing.assert_allclose(gain.residual_nmrr_plain, [[8 / 33, 1 / 6, 0]])


def test_means_exclude_queries_without_unjudged_relevant_images() -> None:
    # With k = 6 all images are judged in round 1, so none remains for either query.
    one = measure([search(), search(k=6)], 1, gtm=3)
    assert np.isnan(one.residual_nmrr[1, 1])
    table = one.mean()
    assert table["round"].tolist() == [0, 1]
    assert table["queries"].tolist() == [2, 2]
    np.testing.assert_allclose(table["residual_anmrr"], [8 / 33, 1 / 3])
    np.testing.assert_allclose(table["residual_anmrr_plain"], [8 / 33, 1 / 6])
    assert table["judged"].tolist() == [0, 4]
    assert table["precision_at_k"].tolist() == [0.5, 0.25]
    assert table["residual_queries"].tolist() == [2, 1]


def test_strategies_and_rounds_are_compared_over_the_same_queries() -> None:
    # As above, no image remains for the second query in round 1, so only the first is common to both rounds.
    table = measure([search(), search(k=6)], 1, gtm=3).mean()
    assert table["common_queries"].tolist() == [1, 1]
    np.testing.assert_allclose(table["common_residual_precision_at_k"], [0.5, 0])
    np.testing.assert_allclose(table["common_residual_precision_at_k_plain"], [0.5, 0.5])
    np.testing.assert_allclose(table["common_residual_anmrr"], [8 / 33, 1 / 3])
    np.testing.assert_allclose(table["common_residual_anmrr_plain"], [8 / 33, 1 / 6])
    # With another strategy, no image remains for the first query either.
    none = measure([search(), search(k=6)], 1, gtm=3).mean(np.array([False, False]))
    assert none["common_queries"].tolist() == [0, 0]
    assert none[["common_residual_anmrr", "common_residual_precision_at_k"]].isna().all(axis=None)


def test_feedback_helps_if_a_category_consists_of_two_clusters() -> None:
    # The query sits in a small cloud of its category beside another category; most of its category is elsewhere.
    random = np.random.default_rng(0)
    clouds = [((0, 0), 5, "cat"), ((2, 0), 20, "dog"), ((0, 2.5), 20, "cat")]
    features = np.vstack([random.normal(place, 0.4, (count, 2)) for place, count, _ in clouds]).astype(np.float32)
    categories = np.repeat([name for *_, name in clouds], [count for _, count, _ in clouds])
    gallery = Gallery(features, [str(row) for row in range(45)], categories)
    for strategy in ("rocchio", "nearest", "linear"):
        gain = measure(
            [Search(gallery, np.array([0.5, 0.5]), 10, strategy, Weights(1, 0.75, 0.15), category="cat")], 3, gtm=25
        )
        assert gain.residual_nmrr[0, 3] < gain.residual_nmrr_plain[0, 3]


def test_figures_of_a_subset_of_queries() -> None:
    gain = measure([search(), search(k=6), search(k=1)], 1, gtm=3)
    chosen = gain.select(np.array([True, False, True]))
    assert chosen.precision.tolist() == [[0.5, 0], [1, 0]]
    assert chosen.judged.tolist() == [[0, 2], [0, 1]]
    assert chosen.mean()["queries"].tolist() == [2, 2]


def test_a_sample_depends_on_content_and_seed_and_not_on_the_order() -> None:
    digests = [f"{number:064x}" for number in range(200)]
    chosen = choose(digests, 20, seed=0)
    assert chosen.sum() == 20
    assert choose(digests[::-1], 20, seed=0)[::-1].tolist() == chosen.tolist()
    assert choose(digests, 20, seed=1).tolist() != chosen.tolist()
    # Without an image, at most one other joins the sample.
    assert (choose(digests[1:], 20, seed=0) != chosen[1:]).sum() <= 1
    assert choose(digests[:5], 20, seed=0).tolist() == [True] * 5


def test_every_column_that_readers_require_is_written(tmp_path: Path) -> None:
    table = measure([search()], 2, gtm=3).mean().assign(strategy="rocchio", scope="worst", category="")
    assert set(GAIN_COLUMNS) == set(table.columns)
    table.drop(columns="common_residual_anmrr").to_csv(tmp_path / "gain.csv", index=False)
    (tmp_path / "example.json").write_text('{"refinement": {"k": 2}}')
    paths = {"gain": str(tmp_path / "gain.csv"), "example": str(tmp_path / "example.json")}
    with pytest.raises(InputError, match=r"gain\.csv .*common_residual_anmrr"):
        plot_simulation.work(SimpleNamespace(input=SimpleNamespace(**paths)))


def test_of_large_collections_the_job_takes_samples_of_queries_and_gallery(tmp_path: Path) -> None:
    # Of each of three categories 20 gallery and 8 test images, on a line.
    names, stores = ["cat", "dog", "fox"], {}
    for split, count in (("train", 20), ("test", 8)):
        label = np.repeat(np.arange(3), count)
        ids = [f"{names[row]}/{split}{place}" for place, row in enumerate(label)]
        table = pd.DataFrame(
            {"image_id": ids, "label": label, "sha256": [hashlib.sha256(name.encode()).hexdigest() for name in ids]}
        )
        vectors = (label[:, None] * 3 + np.random.default_rng(count).normal(size=(len(label), 2))).astype(np.float32)
        stores[split] = tmp_path / f"{split}.h5"
        store.write(stores[split], table, [vectors], 2, {"method": "m"})
        if split == "test":
            queries = pd.DataFrame({"image_id": ids, "category": np.array(names)[label], "nmrr": 0.5})
            queries.to_csv(tmp_path / "queries.csv", index=False)
    pd.DataFrame({"category": names, "f1": [0.9, 0.8, 0.7]}).to_csv(tmp_path / "categories.csv", index=False)
    (tmp_path / "categories.json").write_text(json.dumps({"index_to_category": dict(enumerate(names))}))
    settings = {"alpha": 1, "beta": 0.75, "gamma": 0.15, "strategies": ["rocchio"], "rounds": 1, "k": 4, "seed": 0}

    def gains(**sizes: int) -> pd.DataFrame:
        simulate_job.work(
            SimpleNamespace(
                wildcards=SimpleNamespace(method="m"),
                params=SimpleNamespace(settings=json.dumps(settings | {"worst_categories": 2} | sizes)),
                input=SimpleNamespace(
                    categories=tmp_path / "categories.json",
                    gallery=stores["train"],
                    asking=stores["test"],
                    evaluated=tmp_path / "categories.csv",
                    queries=tmp_path / "queries.csv",
                ),
                output=SimpleNamespace(gain=tmp_path / "gain.csv", example=tmp_path / "example.json"),
            )
        )
        return pd.read_csv(tmp_path / "gain.csv", keep_default_na=False)

    few = gains(queries=5, images=30)
    assert few.loc[few["round"] == 0, ["category", "queries"]].to_numpy().tolist() == [
        *(["fox", 5], ["dog", 5], ["", 10], ["", 5])
    ]
    whole = gains(queries=100, images=60)
    assert whole.loc[whole["round"] == 0, "queries"].tolist() == [8, 8, 16, 24]
    pd.testing.assert_frame_equal(gains(queries=100, images=1000), whole)
    assert not gains(queries=100, images=30).equals(whole)
    # The example is of the whole gallery.
    assert json.loads((tmp_path / "example.json").read_text())["rounds"][0]["results"]
