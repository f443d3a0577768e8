import numpy as np
import pytest

from cbir.collection.categories import Relevant
from cbir.evaluation import validation
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.validation import retrieval_quality
from cbir.files.errors import InputError
from cbir.retrieval.exact import rankings


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def test_quality_by_hand() -> None:
    # Gallery: category 0 at 0 and 10, category 1 at 1, 2 and 3. Query of category 0 at 0: ranks of its own 1 and 5.
    # AP = (1/1 + 2/5) / 2 = 0.7. GTM 3, NG 2: K = min(8, 6) = 6, AVR (1 + 5) / 2; (3 - 1.5) / (7.5 - 1.5) = 0.25.
    # Query of category 1 at 0: order 0, 1, 2, 3, 10: ranks 2, 3, 4. AP = (1/2 + 2/3 + 3/4) / 3 = 0.638889.
    # NG 3, K = min(12, 6) = 6: AVR 3; (3 - 2) / (7.5 - 2) = 0.181818. The query of category 2 has nothing to find.
    gallery, labels = column(0, 10, 1, 2, 3), np.array([0, 0, 1, 1, 1])
    quality = retrieval_quality(column(0, 0.1, 0.2), np.array([0, 1, 2]), gallery, labels, ["map", "anmrr"])
    assert quality["map"] == pytest.approx((0.7 + 0.6388889) / 2)
    assert quality["anmrr"] == pytest.approx((0.25 + 0.1818182) / 2)
    assert list(quality) == ["map", "anmrr"]


def test_metrics_at_k_and_of_the_vote_by_hand() -> None:
    # As above; the nearest three images of every query are of the categories 0, 1 and 1, so all are predicted as 1.
    gallery, labels = column(0, 10, 1, 2, 3), np.array([0, 0, 1, 1, 1])
    names = ["precision-at-k", "accuracy", "macro-f1"]
    quality = retrieval_quality(column(0, 0.1, 0.2), np.array([0, 0, 1]), gallery, labels, names, k=3)
    # Hits among the first three: 1, 1, 2. Among the first alone they would be 1, 1, 0.
    assert quality["precision_at_k"] == pytest.approx((1 / 3 + 1 / 3 + 2 / 3) / 3)
    assert quality["accuracy"] == pytest.approx(1 / 3)
    # F1 of category 1 is 2 * 1 / (1 + 3), of category 0 it is 0.
    assert quality["macro_f1"] == pytest.approx((0 + 1 / 2) / 2)


def test_a_metric_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="The metric 'loss' does not exist: use one of accuracy, anmrr"):
        retrieval_quality(column(0), np.array([0]), column(0), np.array([0]), ["loss"])


def test_quality_does_not_depend_on_the_blocks_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    queries, gallery = generator.normal(size=(7, 3)), generator.normal(size=(9, 3))
    labels = np.arange(9) % 3
    names = list(REGISTRY)
    whole = retrieval_quality(queries, labels[:7], gallery, labels, names, k=3)
    monkeypatch.setattr(validation, "rankings", lambda q, g: rankings(q, g, block_bytes=1))
    assert retrieval_quality(queries, labels[:7], gallery, labels, names, k=3) == pytest.approx(whole)


def test_images_that_share_a_category_are_relevant() -> None:
    # On a line: labels 0 (bird), 1 (bird and water), 2 (water), at 0, 1 and 2; a query of each of 1 and 0 at 2.
    relevant = Relevant(["bird", "bird / water", "water"])
    gallery, labels = np.array([[0], [1], [2]], np.float32), np.arange(3)
    found = retrieval_quality(np.array([[2]], np.float32), np.array([0]), gallery, labels, ["map"], relevant=relevant)
    assert found["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    found = retrieval_quality(np.array([[2]], np.float32), np.array([1]), gallery, labels, ["map"], relevant=relevant)
    assert found["map"] == 1
