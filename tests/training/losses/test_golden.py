"""Values and gradients of losses against those of pytorch-metric-learning, see tests/golden/losses.py."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cbir.training import losses, objective
from training.made import settings

GOLDEN = Path(__file__).parents[2] / "golden/losses.py"
SPECIFICATION = importlib.util.spec_from_file_location("golden_losses", GOLDEN)
assert SPECIFICATION is not None
assert SPECIFICATION.loader is not None
golden = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(golden)
CASES = json.loads(GOLDEN.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['loss']} {case['options']}")
def test_values_and_gradients_are_those_of_pytorch_metric_learning(case: dict[str, Any]) -> None:
    embeddings, labels, proxies = golden.batch()
    loss = objective.build(settings(loss={case["loss"]: case["options"]}), golden.CATEGORIES, golden.DIMENSION)
    if "proxies" in case:
        loss.scaled.assign(proxies / loss.rate)
    x = tf.constant(embeddings, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value, active = loss(x, {"labels": tf.constant(labels)})
    sources = [x, *(variable.value for variable in loss.trainable_variables)]
    gradient, *others = tape.gradient(value, sources)
    assert float(value) == pytest.approx(case["value"], rel=1e-5)
    scale = np.abs(case["embeddings"]).max()
    assert np.allclose(gradient, case["embeddings"], rtol=1e-5, atol=1e-5 * scale)
    if "proxies" in case:
        # The variable is the proxies divided by their rate.
        [own] = others
        scale = np.abs(case["proxies"]).max()
        assert np.allclose(own / loss.rate, case["proxies"], rtol=1e-5, atol=1e-5 * scale)
    assert 0 < float(active) <= 1


def test_every_loss_is_covered() -> None:
    assert {case["loss"] for case in CASES} == set(losses.REGISTRY) - {"triplet"}
