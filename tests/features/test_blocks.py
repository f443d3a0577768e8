"""Large numbers of rows in blocks: the same numbers as all at once."""

import tempfile

import numpy as np
import pytest

from cbir.features import blocks, transforms
from cbir.features.steps import expand, pca, zscore
from cbir.files.errors import InputError

ROWS = np.random.default_rng(3).gamma(2, size=(50, 6)) @ np.random.default_rng(5).normal(size=(6, 6))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "IN_MEMORY", 20)
    monkeypatch.setattr(blocks, "_BLOCK", 8)


def test_few_rows_are_one_block() -> None:
    assert list(blocks.spans(50)) == [slice(0, 50)] and list(blocks.spans(0)) == []


@pytest.mark.usefixtures("small")
def test_many_rows_are_blocks_in_a_file() -> None:
    assert list(blocks.spans(21)) == [slice(0, 8), slice(8, 16), slice(16, 21)]
    found = blocks.mapped(21, lambda block: np.arange(21.0)[block, None])
    assert found.ravel().tolist() == list(range(21))
    assert isinstance(found.base, np.memmap)
    assert blocks.mapped(0, lambda block: np.ones((0, 3))).shape == (0, 3)


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match="TMPDIR"):
        blocks.space(21, 2)


CHAINS = [
    {"of": "a", "steps": ["l2", {"power": 0.5}]},
    {"of": "a", "steps": ["zscore", {"pca": 3}]},
    {"of": "a", "steps": [{"pca": {"dimension": 4, "whiten": 1}}, {"expand": 4}, "l2"]},
    {"of": "a", "steps": ["l2", {"expand": {"neighbours": 3, "which": "query"}}]},
    {"combine": ["a", "b"], "normalise": "minmax", "steps": [{"pca": 5}]},
    {"combine": ["a", "b"], "normalise": "minmax-per-feature"},
]


@pytest.mark.parametrize("row", CHAINS, ids=str)
def test_a_large_gallery_is_transformed_to_the_same(row: dict, request: pytest.FixtureRequest) -> None:
    parts = [ROWS.astype(np.float32), ROWS[:, ::2].astype(np.float32) + 1][: len(row.get("combine", "a"))]
    queries = [part[:30] + np.float32(0.1) for part in parts]
    whole = transforms.fit(row, parts)
    gallery, of_queries = transforms.transform(whole, parts, True), transforms.transform(whole, queries)
    request.getfixturevalue("small")
    fitted = transforms.fit(row, parts)
    assert len(list(transforms.transformed(fitted, parts, True))) == 7
    np.testing.assert_allclose(transforms.transform(fitted, parts, True), gallery, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(transforms.transform(fitted, queries), of_queries, rtol=2e-5, atol=2e-6)


@pytest.mark.usefixtures("small")
def test_an_expansion_of_another_gallery_is_refused() -> None:
    parts = [ROWS.astype(np.float32)]
    fitted = transforms.fit({"of": "a", "steps": ["expand"]}, parts)
    with pytest.raises(InputError, match=r"expand was fitted on 50 gallery images, not 40"):
        transforms.transform(fitted, [parts[0][:40]], True)


def test_components_by_the_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    # Against the singular values of the centred rows, with the sign of scikit-learn.
    _, values, vectors = np.linalg.svd(ROWS - ROWS.mean(axis=0), full_matrices=False)
    signs = np.sign([row[np.abs(row).argmax()] for row in vectors])
    monkeypatch.setattr(blocks, "IN_MEMORY", 20)
    monkeypatch.setattr(blocks, "_BLOCK", 7)
    found = pca.fit(ROWS, dimension=3, whiten=1)
    deviations = values[:3] / np.sqrt(len(ROWS) - 1)
    np.testing.assert_allclose(found["projection"], (vectors[:3] * signs[:3, None]).T / deviations, rtol=1e-8)
    np.testing.assert_allclose(found["mean"], ROWS.mean(axis=0))
    spread = zscore.fit(ROWS)
    np.testing.assert_allclose(1 / spread["scale"], ROWS.std(axis=0), rtol=1e-12)
    assert len(expand.fit(ROWS, neighbours=10, power=3, which="both")["gallery"]) == 50
