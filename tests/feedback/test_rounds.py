import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cbir.feedback.refinement import Refinement, Round, as_json, parse
from cbir.feedback.rounds import Gallery, Search, refine
from cbir.feedback.strategies import REGISTRY, Weights
from cbir.files.errors import InputError

# On a line, so that every distance is a difference. Cats are at 1, 3, 8, 9 and dogs at 2, 4, 10.
PLACES = [1, 2, 3, 4, 8, 9, 10]
IDS = ["cat/1", "dog/2", "cat/3", "dog/4", "cat/8", "cat/9", "dog/10"]


@pytest.fixture
def gallery() -> Gallery:
    features = np.array(PLACES, dtype=np.float32)[:, None]
    return Gallery(features, IDS, np.array([image_id[:3] for image_id in IDS]))


def search(gallery: Gallery, **changes: Any) -> Search:
    values: dict[str, Any] = {
        "vector": np.zeros(1, np.float32),
        "k": 3,
        "strategy": "rocchio",
        "weights": Weights(1, 1, 1),
        "category": "cat",
    }
    return Search(gallery, **(values | {"source": "mine.json"} | changes))


def refinement(*rounds: Round) -> Refinement:
    return Refinement("cat/x", "m", 3, "rocchio", Weights(1, 1, 1), rounds, "mine.json")


def test_round_0_is_the_plain_query(gallery: Gallery) -> None:
    result = search(gallery).start()
    assert result.number == 0
    assert result.vector.tolist() == [0.0]
    assert result.image_ids == ["cat/1", "dog/2", "cat/3"]
    assert result.distances.tolist() == [1, 2, 3]
    assert result.scores.tolist() == [-1, -2, -3]
    assert result.of_category is not None
    assert result.of_category.tolist() == [True, False, True]
    assert result.precision == result.residual_precision == 2 / 3
    assert result.order.tolist() == list(range(7))


def test_a_round_uses_the_judgements_and_excludes_them_from_the_residual_precision(gallery: Gallery) -> None:
    # q' = 0 + mean(1, 8) - 0 = 4.5: dog/4 at 0.5, cat/3 at 1.5, dog/2 at 2.5, cat/1 and cat/8 at 3.5, ...
    # Not judged: dog/4, cat/3, dog/2, so 1 of 3.
    one = search(gallery)
    result = one.judge(one.start(), Round(relevant=("cat/8", "cat/1")))
    assert result.vector.tolist() == [4.5]
    assert result.image_ids == ["dog/4", "cat/3", "dog/2"]
    assert result.distances.tolist() == [0.5, 1.5, 2.5]
    assert result.precision == result.residual_precision == 1 / 3
    # q' = mean(1, 8) - 4 = 0.5: cat/1 at 0.5, dog/2, cat/3: 2 of 3; not judged: dog/2, cat/3, cat/9: 2 of 3.
    # Then dog/2 irrelevant too: q' = mean(1, 8) - mean(2, 4) = 1.5: cat/1, dog/2, cat/3; not judged: cat/3, cat/9 and
    # dog/10.
    result = one.judge(result, Round(irrelevant=("dog/4",)))
    assert (result.precision, result.residual_precision) == (2 / 3, 2 / 3)
    result = one.judge(result, Round(irrelevant=("dog/2",)))
    assert result.vector.tolist() == [1.5]
    assert result.relevant.tolist() == [0, 4]
    assert result.irrelevant.tolist() == [1, 3]
    assert (result.precision, result.residual_precision) == (2 / 3, 2 / 3)
    assert result.number == 3


def test_precision_over_unjudged_images_differs_from_that_over_all(gallery: Gallery) -> None:
    # q' = 0 + mean(1, 3) = 2: dog/2, cat/1, cat/3 -> 2/3; not judged: dog/2, dog/4, cat/8 -> 1/3.
    one = search(gallery)
    result = one.judge(one.start(), Round(relevant=(0, 2)))
    assert (result.precision, result.residual_precision) == (2 / 3, 1 / 3)


def test_too_few_unjudged_images_count_as_misses(gallery: Gallery) -> None:
    one = search(gallery)
    result = one.judge(one.start(), Round(relevant=("cat/1", "cat/3", "cat/8"), irrelevant=("dog/2", "dog/4")))
    # cat/9 and dog/10 remain: 1 hit over k = 3.
    assert result.residual_precision == 1 / 3


def test_ranks_refer_to_the_results_of_the_round_before(gallery: Gallery) -> None:
    # After round 1 the query is at 10, so rank 0 of its results is dog/10, judged again, not cat/1 at rank 0 of the
    # plain results: q' = mean(10).
    results = refine(
        gallery, refinement(Round(relevant=("dog/10",)), Round(relevant=(0,))), np.zeros(1), "cat/x", "cat"
    )
    assert results[1].image_ids == ["dog/10", "cat/9", "cat/8"]
    assert results[2].relevant.tolist() == [6]
    assert results[2].vector.tolist() == [10.0]
    # By rank 2 in round 2, cat/8 joins: q' = mean(8, 10) = 9, from the original query at 0.
    results = refine(
        gallery, refinement(Round(relevant=("dog/10",)), Round(relevant=(2,))), np.zeros(1), "cat/x", "cat"
    )
    assert results[2].relevant.tolist() == [4, 6]
    assert results[2].vector.tolist() == [9.0]
    assert [result.number for result in results] == [0, 1, 2]


def test_ranks_and_image_ids_give_the_same(gallery: Gallery) -> None:
    one = search(gallery)
    by_rank = one.judge(one.start(), Round(relevant=(2, 0), irrelevant=(1,)))
    by_name = one.judge(one.start(), Round(relevant=("cat/1", "cat/3"), irrelevant=("dog/2",)))
    assert by_rank.as_json() == by_name.as_json()


@pytest.mark.parametrize("strategy", REGISTRY)
def test_one_round_or_many_give_the_same_digits(strategy: str) -> None:
    random = np.random.default_rng(0)
    ids = [f"c/{row}" for row in range(200)]
    gallery = Gallery(random.normal(size=(200, 40)).astype(np.float32), ids, np.array(["c", "d"] * 100))
    one = search(gallery, vector=random.normal(size=40), strategy=strategy, k=10)
    at_once = one.judge(one.start(), Round(relevant=("c/9", "c/5", "c/77"), irrelevant=("c/3", "c/2")))
    first = one.judge(one.start(), Round(relevant=("c/77",), irrelevant=("c/3", "c/9")))
    later = one.judge(first, Round(relevant=("c/5", "c/9"), irrelevant=("c/2",)))
    assert later.as_json()["results"] == at_once.as_json()["results"]
    assert later.vector.tolist() == at_once.vector.tolist()


def test_a_later_judgement_replaces_an_earlier_one(gallery: Gallery) -> None:
    one = search(gallery)
    first = one.judge(one.start(), Round(relevant=("cat/1", "dog/4"), irrelevant=("cat/9",)))
    second = one.judge(first, Round(relevant=("cat/9",), irrelevant=("dog/4",)))
    assert second.relevant.tolist() == [0, 5]
    assert second.irrelevant.tolist() == [3]
    # mean(1, 9) - 4
    assert second.vector.tolist() == [1.0]


def test_an_empty_round_follows_the_formula(gallery: Gallery) -> None:
    one = search(gallery, vector=np.array([2.0]), weights=Weights(3, 1, 1))
    assert one.start().vector.tolist() == [2.0]
    assert one.judge(one.start(), Round()).vector.tolist() == [6.0]


def test_a_query_of_the_gallery_is_not_its_own_result(gallery: Gallery) -> None:
    one = search(gallery, vector=np.array([3.0]), query="cat/3")
    result = one.start()
    assert result.image_ids == ["dog/2", "dog/4", "cat/1"]
    assert result.order.tolist() == [1, 3, 0, 4, 5, 6]
    with pytest.raises(InputError, match=r"mine.json: rounds\[0\].irrelevant\[0\] is the query itself: remove it."):
        one.judge(result, Round(irrelevant=("cat/3",)))


def test_without_a_category_precision_is_undefined(gallery: Gallery) -> None:
    result = search(gallery, category=None).start()
    assert result.of_category is None
    assert result.precision is None
    assert result.residual_precision is None
    assert result.as_json()["results"][0]["of_category"] is None


@pytest.mark.parametrize(
    ("judgements", "message"),
    [
        (Round(relevant=(0, 3)), "rounds[0].relevant[1] is rank 3, but ranks go from 0 to 2: correct it."),
        (Round(relevant=(-1,)), "rounds[0].relevant[0] is rank -1, but ranks go from 0 to 2: correct it."),
        (
            Round(irrelevant=("bird/1\n",)),
            'rounds[0].irrelevant[0] is "bird/1\\n", no image of the gallery: correct it.',
        ),
        (Round(relevant=(0, "cat/1")), 'rounds[0].relevant[1] names "cat/1" a second time: remove it.'),
        (Round((0,), ("dog/2", "cat/1")), 'rounds[0] judges "cat/1" both relevant and irrelevant: keep one.'),
    ],
)
def test_each_mistake_names_the_source_and_the_key(gallery: Gallery, judgements: Round, message: str) -> None:
    one = search(gallery)
    with pytest.raises(InputError) as caught:
        one.judge(one.start(), judgements)
    assert str(caught.value) == f"mine.json: {message}"


def test_a_mistake_in_a_later_round_names_that_round(gallery: Gallery) -> None:
    one = search(gallery)
    with pytest.raises(InputError, match=r"rounds\[1\].relevant\[0\] is rank 9"):
        one.judge(one.judge(one.start(), Round()), Round(relevant=(9,)))


def test_k_beyond_the_gallery_is_refused(gallery: Gallery) -> None:
    assert len(search(gallery, k=7).start().image_ids) == 7
    with pytest.raises(InputError, match=r"mine\.json: k is 8, but the gallery has 7 images: lower k\."):
        search(gallery, k=8)
    with pytest.raises(InputError, match="k is 7, but the gallery has 6 images"):
        search(gallery, k=7, query="cat/1")


@pytest.mark.parametrize("vector", [np.zeros(2), np.zeros((1, 1)), np.array([np.nan])])
def test_a_vector_that_does_not_fit_is_refused(gallery: Gallery, vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="query vector"):
        search(gallery, vector=vector)


def test_an_inconsistent_gallery_is_refused() -> None:
    with pytest.raises(ValueError, match="one feature vector"):
        Gallery(np.zeros((2, 3), np.float32), ["a"], np.array(["a", "b"]))
    with pytest.raises(ValueError, match="finite"):
        Gallery(np.full((1, 3), np.inf, np.float32), ["a"], np.array(["a"]))


def test_a_round_as_json_data(gallery: Gallery) -> None:
    one = search(gallery, k=2)
    # q' = 0 + 1 - 10 = -9
    result = one.judge(one.start(), Round(relevant=(0,), irrelevant=("dog/10",)))
    first = {"position": 0, "image_id": "cat/1", "distance": 10.0, "score": -10.0, "of_category": True}
    second = {"position": 1, "image_id": "dog/2", "distance": 11.0, "score": -11.0, "of_category": False}
    assert result.as_json() == {
        "round": 1,
        "precision_at_k": 0.5,
        "residual_precision_at_k": 0.5,
        "judged_relevant": 1,
        "judged_irrelevant": 1,
        "results": [first | {"judged": "relevant"}, second | {"judged": None}],
    }


def test_an_unknown_strategy_is_an_input_error(gallery: Gallery) -> None:
    one = search(gallery, strategy="best")
    with pytest.raises(
        InputError, match=r"The strategy 'best' does not exist: use one of linear, mixed, nearest, rocchio\."
    ):
        one.judge(one.start(), Round((0,)))


def test_judged_images_are_ranked_first_or_removed(gallery: Gallery) -> None:
    first = search(gallery, judged_first=True)
    start = first.start()
    assert start.image_ids == ["cat/1", "dog/2", "cat/3"]
    result = first.judge(start, Round(relevant=("cat/9", "cat/3"), irrelevant=("cat/1", "dog/2")))
    # q' = 0 + mean(9, 3) - mean(1, 2) = 4.5; 3 is nearer to it than 9 is, and of the others 4 is, then 8 and 10.
    assert result.vector.tolist() == [4.5]
    assert [gallery.image_ids[row] for row in result.order] == ["cat/3", "cat/9", "dog/4", "cat/8", "dog/10"]
    assert result.image_ids == ["cat/3", "cat/9", "dog/4"]
    plain = search(gallery)
    as_ranked = plain.judge(plain.start(), Round(relevant=("cat/9", "cat/3"), irrelevant=("cat/1", "dog/2")))
    assert result.residual_precision == as_ranked.residual_precision == 1 / 3
    # A later judgement brings an image back.
    again = first.judge(result, Round(relevant=("dog/2",)))
    assert "dog/2" in again.image_ids


def test_fewer_results_than_k_may_remain(gallery: Gallery) -> None:
    first = search(gallery, judged_first=True, k=6)
    result = first.judge(first.start(), Round(irrelevant=(0, 1, 2, 3)))
    assert sorted(result.image_ids) == ["cat/8", "cat/9", "dog/10"]
    assert result.precision == 2 / 6
    with pytest.raises(InputError, match=r"rounds\[1\]\.relevant\[0\] is rank 3, but ranks go from 0 to 2: correct it"):
        first.judge(result, Round(relevant=(3,)))


def test_a_refinement_can_rank_judged_images_first(gallery: Gallery) -> None:
    first = replace(refinement(Round(irrelevant=(0,))), judged_first=True)
    assert "cat/1" not in refine(gallery, first, np.zeros(1), None, "cat")[1].image_ids
    assert parse(json.dumps(as_json(first)).encode(), "mine.json", ["m"], Weights(9, 9, 9)) == first
    plain = {key: value for key, value in as_json(first).items() if key != "judged_first"}
    assert not parse(json.dumps(plain).encode(), "mine.json", ["m"], Weights(9, 9, 9)).judged_first
