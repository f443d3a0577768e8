"""Values of steps are chosen by an exhaustive search on the val images."""

import itertools
from typing import Any

import numpy as np
import pytest

from cbir.evaluation import choice
from cbir.evaluation.validation import retrieval_quality
from cbir.features import transforms
from cbir.files.errors import InputError


def images(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy features of four categories, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    return (2 * np.eye(4, 12)[labels] + random.normal(0, 1, (count, 12))).astype(np.float32), labels


TRAIN, LABELS = images(0, 80)
VAL, VAL_LABELS = images(1, 40)
DIMENSIONS, NEIGHBOURS = [2, 4, 8], [1, 5, 20]
ROW: dict[str, Any] = {
    "of": "x",
    "steps": ["l2", {"pca": DIMENSIONS}, {"expand": {"neighbours": NEIGHBOURS, "power": 2}}],
    "choose": "val",
}


@pytest.mark.parametrize("monitor", ["anmrr", "map"])
def test_the_best_of_all_choices_is_taken(monitor: str) -> None:
    figures = []
    for dimension, neighbours in itertools.product(DIMENSIONS, NEIGHBOURS):
        steps = ["l2", {"pca": dimension}, {"expand": {"neighbours": neighbours, "power": 2}}]
        fitted = transforms.fit({"of": "x", "steps": steps}, [TRAIN])
        gallery, queries = transforms.transform(fitted, [TRAIN], True), transforms.transform(fitted, [VAL])
        figures.append(retrieval_quality(queries, VAL_LABELS, gallery, LABELS, [monitor])[monitor])
    best = int(np.argmin(figures) if monitor == "anmrr" else np.argmax(figures))
    found = choice.choose(ROW | {"monitor": monitor}, [TRAIN], LABELS, [VAL], VAL_LABELS)
    assert [tried["value"] for tried in found.tried] == pytest.approx(figures)
    assert found.best == best
    dimension, neighbours = list(itertools.product(DIMENSIONS, NEIGHBOURS))[best]
    steps = [{"pca": dimension}, {"expand": {"neighbours": neighbours, "power": 2}}]
    assert found.tried[best]["steps"] == steps
    assert found.row == {"of": "x", "steps": ["l2", *steps]}
    again = transforms.fit(found.row, [TRAIN])
    assert np.array_equal(transforms.transform(found.fitted, [VAL]), transforms.transform(again, [VAL]))
    assert len(set(figures)) > 1


def test_among_equal_choices_the_first_is_taken() -> None:
    row = {"of": "x", "steps": [{"power": [1, 1.0000000001]}], "choose": "val"}
    assert choice.choose(row, [TRAIN], LABELS, [VAL], VAL_LABELS).best == 0


def test_a_combination_is_chosen_as_a_whole() -> None:
    row = {"combine": ["x", "y"], "normalise": "l2", "steps": [{"pca": [2, 6]}], "choose": "val", "monitor": "accuracy"}
    found = choice.choose(row, [TRAIN, TRAIN[:, :3]], LABELS, [VAL, VAL[:, :3]], VAL_LABELS, k=3)
    assert found.row == {"combine": ["x", "y"], "normalise": "l2", "steps": [found.tried[found.best]["steps"][0]]}
    again = transforms.fit(found.row, [TRAIN, TRAIN[:, :3]])
    parts = [VAL, VAL[:, :3]]
    assert np.array_equal(transforms.transform(found.fitted, parts), transforms.transform(again, parts))


def test_common_first_steps_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    real = choice.fit_step
    monkeypatch.setattr(choice, "fit_step", lambda step, rows: fitted.append(step) or real(step, rows))
    choice.choose(ROW, [TRAIN], LABELS, [VAL], VAL_LABELS)
    assert len(fitted) == 1 + 3 + 9


def test_without_val_images_a_choice_is_refused() -> None:
    with pytest.raises(InputError, match=r"no image of a category of the train split to choose by: raise split\.val"):
        choice.choose(ROW, [TRAIN], LABELS, [VAL[:0]], VAL_LABELS[:0])
