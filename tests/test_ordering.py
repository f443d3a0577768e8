"""A negative control: ImageNet weights give better retrieval than random weights or colours alone."""

from pathlib import Path

import numpy as np
import pytest

from cbir.collection.images import load
from cbir.collection.manifest import collect
from cbir.collection.sources import sample
from cbir.encoders import networks, weights
from cbir.encoders.inference import embedder
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.retrieval import exact

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of the sample as the input of networks, uint8 (n, 224, 224, 3), and their labels."""
    folder = tmp_path_factory.mktemp("sample")
    sample.fetch(folder / "images", {})
    table, *_ = collect(folder / "images", folder / "memory", workers=2)
    return np.stack([load(Path(path), (224, 224)) for path in table["path"]]), table["label"].to_numpy()


def figures(features: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return precision at 1 and mean average precision where each image is searched among all others."""
    order = np.concatenate([block for _, block in exact.rankings(features, features)])
    # Without the image itself.
    others = np.array([row[row != query] for query, row in enumerate(order)])
    relevance = labels[others] == labels[:, None]
    return float(relevance[:, 0].mean()), mean_defined(REGISTRY["map"].per_query(relevance))


def encoded(source: str, photographs: np.ndarray, imagenet: Path | None = None) -> np.ndarray:
    model, _ = networks.build("mobilenetv2", source, 0, imagenet)
    embed = embedder(model, batch=32, normalise=False)
    return np.concatenate([embed(photographs[start : start + 32]) for start in range(0, len(photographs), 32)])


def histograms(photographs: np.ndarray) -> np.ndarray:
    """Return joint histograms of 4 levels a colour, the simplest classical features."""
    levels = photographs.astype(int) // 64
    bins = levels @ [16, 4, 1]
    return np.stack([np.bincount(image.ravel(), minlength=64) for image in bins]) / bins[0].size


def test_imagenet_weights_find_more_than_random_weights_and_colours(
    photographs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    pixels, labels = photographs
    assert len(pixels) > 140
    assert len(set(labels)) == 7
    weights.fetch("mobilenetv2", "imagenet", tmp_path / "imagenet.keras")
    learned = figures(encoded("imagenet", pixels, tmp_path / "imagenet.keras"), labels)
    untrained = figures(encoded("random", pixels), labels)
    colours = figures(histograms(pixels), labels)
    measured = f"ImageNet {learned}, random {untrained}, colours {colours}"
    assert learned[0] > 0.8, measured
    assert learned[1] > 0.5, measured
    for weak in (untrained, colours):
        assert learned[0] > weak[0] + 0.2, measured
        assert learned[1] > weak[1] + 0.12, measured
    # Colours alone are better than chance, so the measurement works.
    assert colours[0] > 1.5 * max(np.bincount(labels)) / len(labels), measured
