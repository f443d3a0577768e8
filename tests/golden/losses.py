"""Write losses.json: values and gradients of losses by pytorch-metric-learning, for the embeddings of `batch`.

It is no dependency of the tests, since PyTorch takes gigabytes; its figures are written down once instead, by:

    uv run --no-project --python 3.11 --with "numpy<2" --with torch==1.13.1 --with pytorch-metric-learning==2.9.0 \
        python tests/golden/losses.py

A case has the ``loss``, its ``options``, the ``value``, the gradient by each value of the ``embeddings`` and, where
there are proxies, by each value of these.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

CATEGORIES, DIMENSION = 5, 6

# The loss of this project, its options, and whether it has proxies.
CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("multi-similarity", {"epsilon": None}, False),
    ("multi-similarity", {}, False),
    ("multi-similarity", {"alpha": 1.5, "beta": 20, "base": 0.3, "epsilon": 0.3}, False),
    ("supcon", {}, False),
    ("supcon", {"temperature": 0.5}, False),
    ("proxy-anchor", {}, True),
    ("proxy-anchor", {"margin": 0.2, "alpha": 8}, True),
    ("normalised-softmax", {}, True),
    ("normalised-softmax", {"temperature": 0.3}, True),
    ("arcface", {}, True),
    ("arcface", {"margin": 1.2, "scale": 4}, True),
]


def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings (12, 6) of lengths other than 1, labels of 4 of the 5 categories, and proxies (5, 6)."""
    i, j = np.indices((12, DIMENSION))
    embeddings = 1.5 * np.sin(3.0 * i + 5 * j + i * j)
    i, j = np.indices((CATEGORIES, DIMENSION))
    return embeddings, np.array([0, 1, 2, 3] * 3), np.cos(2.0 * i + 3 * j + i * j)


def main() -> None:
    """Write the file."""
    import torch
    from pytorch_metric_learning import losses, miners, reducers

    def peer(name: str, options: dict[str, Any]) -> Any:
        if name == "multi-similarity":
            names = {key: value for key, value in options.items() if key != "epsilon"}
            return losses.MultiSimilarityLoss(**{"alpha": 2, "beta": 50, "base": 0.5, **names})
        if name == "supcon":
            return losses.SupConLoss(**{"temperature": 0.1, **options}, reducer=reducers.MeanReducer())
        if name == "proxy-anchor":
            return losses.ProxyAnchorLoss(CATEGORIES, DIMENSION, **{"margin": 0.1, "alpha": 32, **options})
        if name == "normalised-softmax":
            return losses.NormalizedSoftmaxLoss(CATEGORIES, DIMENSION, **{"temperature": 0.05, **options})
        margin = float(np.rad2deg(options.get("margin", 0.5)))
        return losses.ArcFaceLoss(CATEGORIES, DIMENSION, margin=margin, scale=options.get("scale", 64))

    found = []
    for name, options, has_proxies in CASES:
        embeddings, labels, proxies = batch()
        x = torch.tensor(embeddings, requires_grad=True)
        y = torch.tensor(labels)
        loss = peer(name, options).double()
        pairs = None
        if name == "multi-similarity" and options.get("epsilon", 0.1) is not None:
            pairs = miners.MultiSimilarityMiner(epsilon=options.get("epsilon", 0.1))(x, y)
        case: dict[str, Any] = {"loss": name, "options": options}
        if has_proxies:
            parameter = loss.proxies if name == "proxy-anchor" else loss.W
            rows = torch.tensor(proxies)
            parameter.data = rows if parameter.shape == rows.shape else rows.T.contiguous()
        value = loss(x, y, pairs)
        value.backward()
        case |= {"value": value.item(), "embeddings": x.grad.tolist()}
        if has_proxies:
            gradient = parameter.grad if parameter.shape == rows.shape else parameter.grad.T
            case["proxies"] = gradient.tolist()
        found.append(case)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=None).replace('{"loss"', '\n{"loss"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
