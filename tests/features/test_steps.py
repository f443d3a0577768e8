"""The steps of a chain against their formulas, written out in plain NumPy."""

import inspect

import numpy as np
import pytest

from cbir.features import chains, transforms
from cbir.features.chains import Written
from cbir.features.steps import REGISTRY, Arrays, expand, pca, power
from cbir.files.errors import InputError

RANDOM = np.random.default_rng(0)
TRAIN = RANDOM.normal(size=(40, 6)).astype(np.float32) + 0.5
TEST = RANDOM.normal(size=(9, 6)).astype(np.float32) + 0.5


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fit(step: Written, rows: np.ndarray) -> Arrays:
    """Return the arrays of a fitted step."""
    return transforms.fit_step(step, rows).arrays


def expected_sum(row: np.ndarray, gallery: np.ndarray, neighbours: int, exponent: float) -> np.ndarray:
    """One vector's weighted sum, by a plain loop."""
    cosines = sorted(((float(row @ other), -place) for place, other in enumerate(gallery)), reverse=True)
    total = np.zeros(len(row))
    for cosine, place in cosines[:neighbours]:
        if cosine > 0:
            total += cosine**exponent * gallery[-place]
    return total


@pytest.mark.parametrize("exponent", [3, 0, 1.5])
@pytest.mark.parametrize("neighbours", [1, 5, 40, 100])
def test_expansion_of_gallery_and_queries_by_plain_loops(neighbours: int, exponent: float) -> None:
    gallery, queries = unit(TRAIN.astype(float)), unit(TEST.astype(float))
    expanded = unit(np.array([expected_sum(row, gallery, neighbours, exponent) for row in gallery]))
    moved = unit(np.array([row + expected_sum(row, expanded, neighbours, exponent) for row in queries]))
    row = {"of": "x", "steps": [{"expand": {"neighbours": neighbours, "power": exponent}}]}
    fitted = transforms.fit(row, [TRAIN])
    assert np.allclose(transforms.transform(fitted, [TRAIN], is_gallery=True), expanded, atol=1e-6)
    assert np.allclose(transforms.transform(fitted, [TEST]), moved, atol=1e-6)


def test_only_the_gallery_or_only_queries_are_expanded() -> None:
    gallery, queries = unit(TRAIN.astype(float)), unit(TEST.astype(float))
    both = fit({"expand": {"neighbours": 3}}, TRAIN)
    of_gallery, of_queries = (
        fit({"expand": {"neighbours": 3, "which": "gallery"}}, TRAIN),
        fit({"expand": {"neighbours": 3, "which": "query"}}, TRAIN),
    )
    assert np.array_equal(expand.apply(of_gallery, TRAIN, True), expand.apply(both, TRAIN, True))
    assert np.allclose(expand.apply(of_gallery, TEST, False), queries, atol=1e-6)
    assert np.allclose(expand.apply(of_queries, TRAIN, True), gallery, atol=1e-6)
    moved = unit(np.array([row + expected_sum(row, gallery, 3, 3) for row in queries]))
    assert np.allclose(expand.apply(of_queries, TEST, False), moved, atol=1e-6)


def test_neighbours_with_negative_similarity_and_zero_vectors_have_no_weight() -> None:
    gallery = np.array([[1.0, 0], [-1, 0], [0, 0]])
    fitted = fit({"expand": {"neighbours": 3, "power": 0}}, gallery)
    # Each vector is its only neighbour: the similarity of the other is negative, and the zero vector has no direction.
    assert np.allclose(expand.apply(fitted, gallery, True), gallery)
    assert np.allclose(expand.apply(fitted, np.array([[0, 2.0], [0, 0]]), False), [[0, 1], [0, 0]])


def test_the_result_of_a_query_does_not_depend_on_other_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = np.random.default_rng(1).normal(size=(300, 70))
    queries = np.random.default_rng(2).normal(size=(50, 70))
    fitted = fit({"expand": {"neighbours": 7}}, gallery)
    together = expand.apply(fitted, queries, False)
    alone = np.concatenate([expand.apply(fitted, query[None], False) for query in queries])
    assert np.array_equal(together, alone)
    # Blocks of 3 rows.
    monkeypatch.setattr(expand, "_BYTES", 3 * 4 * 300)
    assert np.array_equal(fit({"expand": {"neighbours": 7}}, gallery)["gallery"], fitted["gallery"])
    assert np.array_equal(expand.apply(fitted, queries, False), together)


def test_among_equally_near_images_the_first_counts() -> None:
    # Three vectors at 60 degrees from the query, two of which are equal.
    gallery = np.array([[0.5, np.sqrt(0.75), 0], [0.5, 0, np.sqrt(0.75)], [0.5, np.sqrt(0.75), 0]])
    fitted = fit({"expand": {"neighbours": 1, "power": 0, "which": "query"}}, gallery)
    assert np.allclose(expand.apply(fitted, np.array([[1.0, 0, 0]]), False), unit(np.array([[1.5, np.sqrt(0.75), 0]])))


def test_an_expansion_of_another_gallery_is_an_input_error() -> None:
    with pytest.raises(InputError, match="fitted on 40 gallery images, not 9: run"):
        expand.apply(fit("expand", TRAIN), TEST, True)


def test_power_keeps_the_sign() -> None:
    rows = np.array([[-4.0, 9, 0]])
    assert np.allclose(power.apply(fit("power", rows), rows, False), [[-2, 3, 0]])
    assert np.allclose(power.apply(fit({"power": 2}, rows), rows, False), [[-16, 81, 0]])


def test_half_whitening_divides_by_the_fourth_root_of_the_variance() -> None:
    train = TRAIN.astype(float) * [9, 5, 3, 2, 1, 0.5]
    plain, half, full = (
        pca.apply(fit({"pca": {"dimension": 4, "whiten": power}}, train), train, True) for power in (0, 0.5, 1)
    )
    deviation = plain.std(axis=0, ddof=1)
    assert np.allclose(half, plain / np.sqrt(deviation))
    assert np.allclose(full.std(axis=0, ddof=1), 1)


def test_the_options_that_an_entry_states_are_the_arguments_of_its_fit() -> None:
    for name in REGISTRY:
        parameters = list(inspect.signature(REGISTRY[name].fit).parameters.values())[1:]
        stated = REGISTRY.options(name)
        assert stated is not None
        assert list(stated) == [parameter.name for parameter in parameters]
        # Defaults are only in OPTIONS.
        assert all(parameter.default is parameter.empty for parameter in parameters)
        assert all(schema["description"].endswith(".") for schema in stated.values())


def test_an_option_that_is_not_set_has_the_default_that_the_entry_states(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit("power", TRAIN)["exponent"] == 0.5
    monkeypatch.setitem(power.OPTIONS["exponent"], "default", 3)
    assert fit("power", TRAIN)["exponent"] == 3
    assert fit({"power": 2}, TRAIN)["exponent"] == 2


def test_steps_of_a_combination_follow_its_normalisation() -> None:
    row = {"combine": ["x", "y"], "normalise": "l2", "steps": [{"pca": 2}, "l2"]}
    fitted = transforms.fit(row, [TRAIN, TRAIN[:, :2]])
    side = np.hstack([unit(TRAIN.astype(float)), unit(TRAIN[:, :2].astype(float))])
    _, vectors = np.linalg.eigh(np.cov(side.T))
    expected = unit((side - side.mean(axis=0)) @ vectors[:, ::-1][:, :2])
    found = transforms.transform(fitted, [TRAIN, TRAIN[:, :2]], is_gallery=True)
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-5)
    bare = transforms.fit({"combine": ["x", "y"], "steps": ["l2"]}, [TRAIN, TRAIN[:, :2]])
    assert np.allclose(transforms.transform(bare, [TEST, TEST[:, :2]]), unit(np.hstack([TEST, TEST[:, :2]])), atol=1e-6)


def test_rows_of_every_kind_name_their_steps() -> None:
    assert chains.steps({"of": "x", "steps": ["l2", {"pca": 2}, "l2", {"expand": None}]}) == ["expand", "l2", "pca"]
    assert chains.steps({"combine": ["x", "y"], "normalise": "minmax", "steps": ["l2"]}) == ["l2", "minmax"]
    assert chains.steps({"transform": "pca", "of": "x", "dimension": 2, "whiten": False}) == ["pca"]


def test_alternatives_of_a_step() -> None:
    assert chains.alternatives("l2") == ["l2"]
    assert chains.alternatives({"pca": [2, 3]}) == [{"pca": 2}, {"pca": 3}]
    assert chains.alternatives({"expand": {"neighbours": [5, 9], "power": 3, "which": ["both", "query"]}}) == [
        {"expand": {"neighbours": neighbours, "power": 3, "which": which}}
        for neighbours in (5, 9)
        for which in ("both", "query")
    ]
