"""A gallery and queries on a line, whose rankings are worked out by hand."""

from typing import Any

import numpy as np

from cbir.evaluation.evaluate import Evaluation, evaluate
from cbir.features.store import FeatureStore
from cbir.retrieval.index import over

CATEGORIES = ["category", "fish", "tool"]

# On a line, so that every distance is read off. c = category, f = fish, t = tool.
#   place   0   1   2   4   8   9  16
#   image  c0  c1  f0  c2  f1  t0  t1
GALLERY = {"c0": 0, "c1": 1, "f0": 2, "c2": 4, "f1": 8, "t0": 9, "t1": 16}
#   query c/a at 0.1: c0 c1 f0 c2 f1 t0 t1, the first three say c c f: category. Relevant at ranks 1 2 4.
#   query f/b at 2.2: f0 (.2) c1 (1.2) c2 (1.8) c0 (2.2) f1 (5.8) t0 t1: f c c: category. Relevant at 1 5.
#   query f/c at 7:   f1 (1) t0 (2) c2 (3) f0 (5) c1 (6) c0 (7) t1 (9): f t c, a tie, the nearest is fish. Relevant at
#                     1 4.
#   query t/d at 15:  t1 (1) t0 (6) f1 (7) c2 ... : t t f: tool. Relevant at 1 2.
#   query t/e at 5:   c2 (1) f0, f1 (3, a tie by row) c1, t0 (4, by row) c0 (5) t1 (11): c f f: fish. Relevant at
#                     5 7.
QUERIES = {"c/a": 0.1, "f/b": 2.2, "f/c": 7, "t/d": 15, "t/e": 5}


def store(images: dict[str, float], split: str) -> FeatureStore:
    features = np.array([[place, 0] for place in images.values()], np.float32)
    labels = np.array(["cft".index(name[0]) for name in images])
    names = np.array(list(images), object)
    return FeatureStore(features, names, labels, names, {"method": "m", "features_sha256": split})


def run(**changes: Any) -> Evaluation:
    gallery, queries = store(GALLERY, "train"), store(QUERIES, "test")
    settings = {"k": 3, "neighbours": 4, "worst_images": 5, "worst_retrieved": 3, "seed": 0} | changes
    tree = settings.pop("tree", over(gallery.features, leafsize=8))
    return evaluate(gallery, queries, CATEGORIES, tree, **settings)
