"""Another backend of Keras, JAX on a processor, gives the features that TensorFlow gives, and trains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cbir.encoders import networks
from cbir.encoders.inference import embedder
from cbir.encoders.options import Options
from cbir.encoders.runtimes import Runtime, fingerprint, made_by

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Encodes 7 images, 4 at a time, trains for one epoch, and prints the results.
PROGRAM = """
import json, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from cbir.encoders import devices, loading

with loading.quickly():
    import keras
    from cbir.encoders import networks
assert keras.backend.backend() == "jax"
devices.take(0)
devices.limit_threads(1)
import numpy as np
from cbir.encoders.inference import embedder
from cbir.encoders.runtimes import Runtime
from cbir.training import train as training
from cbir.training.batches import ImageSet
from training import made

folder = Path(sys.argv[1])
pixels = np.load(folder / "pixels.npy")
encoder = networks.open_encoder(folder / "e.keras").model
embed = embedder(encoder, 4, True, flip=True)
np.save(folder / "features.npy", np.concatenate([embed(pixels[:4]), embed(pixels[4:])]))
import jax
precisions = [jax.config.jax_default_matmul_precision]
embedder(encoder, 4, True, Runtime(precision="tf32"))
precisions.append(jax.config.jax_default_matmul_precision)

names = [str(folder / f"{number}.png") for number in range(len(pixels))]
digests = [str(number) for number in range(len(pixels))]
images = ImageSet(names, np.arange(len(pixels)) % 2, digests)
given = []
embed_all = training._Trainer._embed
training._Trainer._embed = lambda self, photographs: given.append(embed_all(self, photographs)) or given[-1]
before = encoder.get_weights()
settings = made.settings(
    categories_per_batch=2, images_per_category=2, epochs=1, steps_per_epoch=2, mining="batch-hard", batch_norm="moving"
)
history = training.train(encoder, images, images, settings, folder / "training")
change = max(float(np.abs(a - b).max()) for a, b in zip(encoder.get_weights(), before))
shapes = [list(rows.shape) for rows in given]
epochs = {name: list(map(float, history[name])) for name in ("epoch", "map")}
print(json.dumps(epochs | {"shapes": shapes, "change": change, "precisions": precisions}))
"""


@pytest.fixture(scope="module")
def jax(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return a folder with a network and images, and the results of another process with JAX."""
    folder = tmp_path_factory.mktemp("jax")
    model, source = networks.build("siamese", "random", 0, options=Options(size=(32, 32)))
    networks.save(model, folder / "e.keras", encoder="e", source=source, normalise=True, options=Options(size=(32, 32)))
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    np.save(folder / "pixels.npy", pixels)
    (folder / "training").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    command = [sys.executable, "-c", PROGRAM, str(folder), str(ROOT / "scripts"), str(ROOT / "tests")]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_features_are_those_of_tensorflow(jax: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = jax
    assert keras.backend.backend() == "tensorflow"
    embed = embedder(networks.open_encoder(folder / "e.keras").model, 7, True, flip=True)
    expected = embed(np.load(folder / "pixels.npy"))
    found = np.load(folder / "features.npy")
    assert found.dtype == np.float32
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_tf32_is_used_only_if_configured(jax: tuple[Path, dict[str, Any]]) -> None:
    assert jax[1]["precisions"] == ["float32", "tensorfloat32"]
    model = networks.open_encoder(jax[0] / "e.keras").model
    for runtime, allowed in ((Runtime(precision="tf32"), True), (Runtime(), False)):
        embedder(model, 7, True, runtime)
        assert tf.config.experimental.tensor_float_32_execution_enabled() is allowed
    assert fingerprint("e", Runtime(precision="tf32")) != fingerprint("e", Runtime()) == "e"
    assert made_by("e", fingerprint("e", Runtime(precision="tf32"))) == Runtime(precision="tf32")


def test_a_training_embeds_each_image_once_and_learns(jax: tuple[Path, dict[str, Any]]) -> None:
    _, printed = jax
    assert printed["epoch"] == [0, 1]
    assert all(0 <= value <= 1 for value in printed["map"])
    # The gallery and the queries, before and after the epoch; JAX pads the last batch.
    assert printed["shapes"] == [[7, 128]] * 4
    assert printed["change"] > 0
