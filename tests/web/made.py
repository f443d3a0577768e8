"""The results of a small run, written by hand without a network or the workflow."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from cbir.collection.columns import GROUP_COLUMNS, IMAGE_COLUMNS, NEAR_DUPLICATE_COLUMNS, REJECTED_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.features import store, transforms
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_csv, write_csv, write_json

CATEGORIES = ("apple", "leaf", "sea")
COLOURS = np.array([[220, 60, 60], [60, 220, 60], [60, 60, 220]])
# This name must neither break out of the page's markup nor reverse the text around it.
HOSTILE = 'leaf/<b>&"\u202eleaf.png'
WIDTH = 5
# The keys of the run's configuration that the search page reads.
CONFIGURATION = {
    "collection": {"source": "folder"},
    "encoders": {"tiny": {"batch": 3}},
    "feedback": {"folder": "feedback/{source}", "alpha": 1, "beta": 0.75, "gamma": 0.15, "k": 10},
}


def configure(results: Path, **feedback: object) -> None:
    """Write the configuration with other values of its section ``feedback``."""
    write_json(results / "configuration.json", CONFIGURATION | {"feedback": CONFIGURATION["feedback"] | feedback})


def embed(images: np.ndarray) -> np.ndarray:
    """A replacement for a network: mean red, green and blue, a difference and a constant."""
    mean = images.reshape(len(images), -1, 3).mean(axis=1)
    return np.column_stack([mean, mean[:, 0] - mean[:, 1], np.ones(len(images))]).astype(np.float32)


def visitor(app: Flask) -> FlaskClient:
    """Return a client that has opened the address that the server printed."""
    client = app.test_client()
    assert client.get(f"/?key={app.config['KEY']}").status_code == 200
    return client


def write_images(root: Path) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = []
    for label, category in enumerate(CATEGORIES):
        (root / "collection" / category).mkdir(parents=True)
        for number in range(8):
            image_id = HOSTILE if (category, number) == ("leaf", 0) else f"{category}/{number}.png"
            pixels = np.clip(COLOURS[label] + random.integers(-40, 40, (24, 24, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "collection" / image_id)
            path = f"collection/{image_id}"
            size = (root / path).stat().st_size
            rows.append([image_id, path, category, label, sha256_file(root / path), 24, 24, size])
    columns = ["image_id", "path", "category", "label", "sha256", "width", "height", "bytes"]
    return pd.DataFrame(rows, columns=columns)


def forget_labels(results: Path) -> None:
    """Remove the categories of the images."""
    path = results / "collection" / "images.csv"
    write_csv(path, pd.read_csv(path).assign(category="", label=-1))


def detail(results: Path) -> None:
    """Add a column ``camera`` to the list of images, and make sea/0, sea/1 and sea/2 of the gallery copies."""
    table = read_csv(results / "collection" / "images.csv", IMAGE_COLUMNS)
    table["camera"] = ["old" if number % 2 else "new" for number in range(len(table))]
    table["serial"] = [str(number) for number in range(len(table))]
    write_csv(results / "collection" / "images.csv", table)
    copies = table[table["image_id"].isin(["sea/0.png", "sea/1.png", "sea/2.png"])]
    known = {"group": "1", "nearest": "", "distance": 3, "mirrored": False}
    rows = pd.DataFrame([{"sha256": sha256, **known} for sha256 in copies["sha256"]])
    # A doubted group.
    apples = table["sha256"][table["category"] == "apple"]
    chained = pd.DataFrame({"sha256": apples, "group": "2", "doubted": 1})
    rows = pd.concat([rows.assign(doubted=0), chained])
    write_csv(results / "collection" / "groups.csv", rows.reindex(columns=GROUP_COLUMNS, fill_value=""))


def doubt(results: Path) -> None:
    """Add two doubtful labels, a group of near-duplicates, and a rejected conflict."""
    labels = [
        ["sea/0.png", "sea", "apple", 0.8, 10, "apple/1.png", 0.1, 0.2],
        ["leaf/1.png", "leaf", "sea", 0.5, 10, "sea/2.png", 0.1, 0.2],
    ]
    write_csv(results / "collection" / "suspects.csv", pd.DataFrame(labels, columns=SUSPECT_COLUMNS))
    known = {"group": 1, "category": "apple", "split": "train", "distance": 3, "across_categories": 1}
    copies = pd.DataFrame([{"image_id": f"apple/{number}.png", **known} for number in (1, 2)])
    copies = copies.reindex(columns=NEAR_DUPLICATE_COLUMNS, fill_value=0)
    write_csv(results / "collection" / "near_duplicates.csv", copies)
    collection = results.parent / "collection"
    conflict = collection / "sea" / "twice.png"
    conflict.write_bytes((collection / "apple" / "7.png").read_bytes() + b" ")
    rejected = [["collection/sea/twice.png", "conflict: the same image in another category (apple/twice.png)"]]
    write_csv(results / "collection" / "rejected.csv", pd.DataFrame(rejected, columns=REJECTED_COLUMNS))
    files = {"sea/twice.png": [[1, 2, 3, 4], sha256_file(conflict)]}
    write_json(results / "collection" / "memory" / "contents.json", {"files": files})


def learn(results: Path, method: str, threshold: float) -> None:
    """Write a method's calibration: probability 0.9 up to the distance 1, 0.1 from 9 on; 3 neighbours for novelty."""
    learned = {"too_few": None, "distances": [1, 9], "probabilities": [0.9, 0.1]}
    novelty = {"too_few": None, "neighbours": 3, "threshold": threshold}
    write_json(results / "evaluation" / method / "calibration.json", {"probability": learned, "novelty": novelty})


def write_results(root: Path) -> Path:
    """Write methods ``tiny`` (an encoder's) and ``unit`` (tiny at unit length): 18 gallery images, 3 test images."""
    results = root / "results"
    write_json(results / "configuration.json", CONFIGURATION)
    table = write_images(root)
    write_csv(results / "collection" / "images.csv", table)
    number = np.arange(len(table)) % 8
    random = np.random.default_rng(1)
    features = (np.eye(3, WIDTH)[table["label"]] * 3 + random.normal(size=(len(table), WIDTH))).astype(np.float32)
    fitted = transforms.fit({"transform": "l2", "of": "tiny"}, [features])
    made_from = {"fingerprint": "t", "parts": json.dumps(["tiny"])}
    transforms.save(results / "transforms" / "unit.h5", fitted, made_from)
    # Images with number 7 are val, whose features the workflow makes only if something needs them.
    for split, chosen in (("train", number < 6), ("test", number == 6)):
        rows = table[chosen]
        about = {"method": "tiny", "encoder": "tiny", "encoder_fingerprint": "f"}
        store.write(results / "features" / "tiny" / f"{split}.h5", rows, [features[chosen]], WIDTH, about)
        unit = transforms.transform(fitted, [features[chosen]])
        about = {"method": "unit", "transform_fingerprint": "t"}
        store.write(results / "features" / "unit" / f"{split}.h5", rows, [unit], WIDTH, about)
    write_json(results / "encoders" / "tiny.json", {"fingerprint": "f", "architecture": "siamese"})
    return results
