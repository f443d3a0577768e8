"""A new architecture or loss is one new file, after which the configuration can name it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.workflow import code_hash
from training import made

SCRIPTS = Path(code_hash.__file__).parents[2]

ARCHITECTURE = '''
"""A mean colour, projected."""

SIZE = (48, 32)
PREPROCESSING = "x / 255"
SOURCES = {}


def build(size):
    """Return the network."""
    import keras

    inputs = keras.Input((size[1], size[0], 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="embedding")(x), name="mean-colour")
'''

LOSS = '''
"""Cross-entropy of the similarities of embeddings to a trained proxy of each category."""

from keras import ops

from cbir.training.losses._loss import Loss


def build(settings, categories, dimension):
    """Return the loss."""
    return ProxyLoss(categories, dimension)


class ProxyLoss(Loss):
    """A proxy is a variable (d,) for each category."""

    def __init__(self, categories, dimension):
        super().__init__(name="proxy-softmax")
        self.proxies = self.add_weight(shape=(dimension, categories), initializer="zeros", name="proxies")

    def call(self, embeddings, targets):
        """Return the mean cross-entropy; every term is active."""
        logits = ops.matmul(embeddings, self.proxies)
        return ops.mean(ops.sparse_categorical_crossentropy(targets["labels"], logits, from_logits=True)), 1.0
'''

# Trains twice, is killed in the second epoch of the second training, and prints the results.
TRAIN = """
import json, sys
from pathlib import Path
import numpy as np
from cbir.encoders import networks
from cbir.training import train as training
from cbir.training.batches import ImageSet
from cbir.training.settings import TrainingSettings

folder = Path(sys.argv[1])
row = json.loads(sys.argv[2])
paths = sorted(map(str, folder.glob("*.png")))
images = ImageSet(paths, np.array([int(Path(path).name[0]) for path in paths]), paths)
settings = TrainingSettings.from_row(row["training"])

def run(name):
    model, _ = networks.build(row["architecture"], row["weights"], 0)
    history = training.train(model, images, images, settings, folder / name)
    return model, history

model, history = run("whole")
real = training.collapse.check
def die(*arguments):
    if arguments[4] == 2:
        raise KeyboardInterrupt
    return real(*arguments)
training.collapse.check = die
try:
    run("killed")
except KeyboardInterrupt:
    training.collapse.check = real
run("killed")
networks.save(model, folder / "e.keras", encoder="e", source="x", normalise=False)
opened = networks.open_encoder(folder / "e.keras")
states = [np.load(folder / name / "checkpoint.npz") for name in ("whole", "killed")]
print(json.dumps({
    "epochs": len(history) - 1,
    "size": opened.size,
    "preprocessing": opened.about["preprocessing"]["scale"],
    "proxies": states[0]["objective/0"].shape,
    "moved": float(np.abs(states[0]["objective/0"]).max()),
    "same": all(np.array_equal(states[0][name], states[1][name]) for name in states[0].files),
}))
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Return a copy of the library and the scripts of the rules, which tests edit."""
    return Path(shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.mark.slow
def test_a_new_architecture_and_loss_can_be_trained(scripts: Path, tmp_path: Path) -> None:
    (scripts / "cbir/encoders/architectures/mean_colour.py").write_text(ARCHITECTURE)
    (scripts / "cbir/training/losses/proxy_softmax.py").write_text(LOSS)
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for category in range(3):
        for number in range(4):
            pixels = np.clip(random.normal(100 + 60 * np.eye(3)[category], 30, (20, 20, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"images/{category}-{number}.png")
    row = {
        "architecture": "mean-colour",
        "weights": "random",
        "training": made.row(loss="proxy-softmax", epochs=2, categories_per_batch=3, learning_rate=0.01),
    }
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path / "images"), json.dumps(row)],
        env=os.environ | {"PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("moved") > 0
    assert found == {
        "epochs": 2,
        "size": [48, 32],
        "preprocessing": "x / 255",
        "proxies": [4, 3],
        # Proxies and their optimizer's state equal those of an uninterrupted training, too.
        "same": True,
    }


ENTRIES = {
    "train.py": ("encoders/architectures/mobilenetv2", "training/losses/triplet"),
    "encode.py": ("encoders/architectures/mobilenetv2",),
    "encoder.py": ("encoders/architectures/mobilenetv2",),
}


def hashes(scripts: Path) -> dict[str, str]:
    """Return the code hashes of the rules that use networks, with the entries that a configuration names."""
    # Hashes of files are cached within a process; hashes of texts do not go out of date.
    for cached in vars(code_hash).values():
        if hasattr(cached, "cache_clear") and cached is not code_hash.parse:
            cached.cache_clear()
    return {
        script: code_hash.fingerprint(
            scripts / script, scripts, tuple(scripts / "cbir" / f"{entry}.py" for entry in entries)
        )
        for script, entries in ENTRIES.items()
    }


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("cbir/report/plots.py", set()),
        ("cbir/report/training_curve.py", set()),
        ("plot_training.py", set()),
        ("cbir/web/outside.py", set()),
        ("cbir/training/losses/new.py", set()),
        ("cbir/encoders/architectures/new.py", set()),
        ("cbir/encoders/architectures/siamese.py", set()),
        ("cbir/training/losses/triplet.py", {"train.py"}),
        ("cbir/training/losses/_mining.py", {"train.py"}),
        ("cbir/encoders/architectures/mobilenetv2.py", {"train.py", "encode.py", "encoder.py"}),
        ("cbir/encoders/architectures/_layers.py", {"train.py", "encode.py", "encoder.py"}),
    ],
)
def test_an_edited_entry_changes_the_code_hash_of_its_users_only(scripts: Path, name: str, changed: set[str]) -> None:
    before = hashes(scripts)
    with (scripts / name).open("a") as file:
        file.write("\n\ndef added():\n    return 1\n")
    after = hashes(scripts)
    assert {script for script in ENTRIES if after[script] != before[script]} == changed
