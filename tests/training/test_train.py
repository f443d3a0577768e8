import hashlib
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers, ops
from PIL import Image

from cbir.encoders.architectures._layers import from_minus_one_to_one
from cbir.files.errors import InputError
from cbir.training import train as training
from cbir.training.batches import ImageSet, Photographs, PlainBatches
from cbir.training.model import TrainingModel, half_precision_twin
from cbir.training.settings import TrainingSettings
from cbir.training.train import train
from training import made

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "mining": "batch-hard",
    "categories_per_batch": 3,
    "images_per_category": 2,
    "epochs": 4,
    "learning_rate": 0.01,
    "patience": 4,
    "batch_norm": "moving",
}


def settings(**changes: Any) -> TrainingSettings:
    return made.settings(**SETTINGS | changes)


def tiny_encoder(seed: int = 0) -> Any:
    """Return a network with all kinds of layers of the real ones, for images of 16 x 16 pixels."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = from_minus_one_to_one(inputs)
    x = layers.Conv2D(8, 3, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=seed))(x)
    x = layers.BatchNormalization(momentum=0.5)(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))(x)
    return keras.Model(inputs, outputs, name="tiny")


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageSet, ImageSet]:
    """Return five training and two validation images of each of three categories.

    Categories differ a little in colour; brightness differs a lot and does not depend on the category.
    """
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    sets = []
    for split, count in (("train", 5), ("val", 2)):
        paths, labels, digests = [], [], []
        for label, colour in enumerate([(25, 0, 0), (0, 25, 0), (0, 0, 25)]):
            for number in range(count):
                plain = generator.uniform(40, 200) + np.array(colour)
                pixels = np.clip(generator.normal(plain, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
                path = folder / f"{split}-{label}-{number}.png"
                Image.fromarray(pixels).save(path)
                paths.append(str(path))
                labels.append(label)
                digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        sets.append(ImageSet(paths, np.array(labels), digests))
    return sets[0], sets[1]


def same_weights(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


class Killed(BaseException):
    """Simulates that the process is killed; nothing in the library catches it."""


def train_until_killed(encoder: Any, sets: tuple[ImageSet, ImageSet], folder: Path, epoch: int, **changes: Any) -> None:
    """Train until the process is killed in ``epoch``, between its training and its validation."""
    with pytest.MonkeyPatch.context() as patch:
        real = training.collapse.check

        def die(*arguments: Any) -> int:
            if arguments[4] == epoch:
                raise Killed
            return real(*arguments)

        patch.setattr(training.collapse, "check", die)
        with pytest.raises(Killed):
            train(encoder, *sets, settings(**changes), folder)


def test_training_separates_the_categories(photographs: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    history = train(tiny_encoder(), *photographs, settings(epochs=12, patience=12), tmp_path)
    assert history["anmrr"].min() < history["anmrr"][0] - 0.1
    assert history["loss"].iloc[-1] < history["loss"][1]
    assert history["epoch"].tolist() == list(range(13))
    # 15 images, groups of 2 from 3 categories: 3 groups a category, so 3 batches of 6.
    assert history["images"].tolist() == [18 * epoch for epoch in range(13)]
    assert history["active"][1:].between(0, 1).all()


def test_a_limit_of_images_is_a_training_of_fewer_epochs(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    fewer, cut = tiny_encoder(), tiny_encoder()
    train(fewer, *photographs, settings(epochs=2), tmp_path / "fewer")
    # 18 images an epoch: two epochs, at the rates of two.
    history = train(cut, *photographs, settings(epochs=5, most_images=40), tmp_path / "cut")
    assert history["images"].tolist() == [0, 18, 36]
    assert same_weights(cut, fewer)


@pytest.mark.parametrize(("epoch", "mining"), [(1, "random"), (3, "batch-hard")])
def test_a_killed_training_continues_and_ends_with_the_same_weights(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path, epoch: int, mining: str
) -> None:
    uninterrupted = tiny_encoder()
    history = train(uninterrupted, *photographs, settings(mining=mining), tmp_path / "uninterrupted")
    train_until_killed(tiny_encoder(), photographs, tmp_path / "killed", epoch, mining=mining)
    assert len(pd.read_csv(tmp_path / "killed" / "history.csv")) == epoch
    resumed = tiny_encoder()
    train(resumed, *photographs, settings(mining=mining), tmp_path / "killed")
    assert same_weights(resumed, uninterrupted)
    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("uninterrupted", "killed")]
    assert histories[0] == histories[1]
    assert len(history) == 5
    assert not same_weights(uninterrupted, tiny_encoder())


def test_a_finished_training_is_not_repeated(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tiny_encoder()
    train(first, *photographs, settings(epochs=1), tmp_path)
    monkeypatch.setattr(TrainingModel, "fit", None)
    again = tiny_encoder()
    train(again, *photographs, settings(epochs=1), tmp_path)
    assert same_weights(first, again)


def test_the_same_seed_gives_the_same_weights_whatever_the_threads(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    encoders = tiny_encoder(), tiny_encoder(), tiny_encoder()
    train(encoders[0], *photographs, settings(epochs=2), tmp_path / "0")
    train(encoders[1], *photographs, settings(epochs=2), tmp_path / "1", workers=3)
    train(encoders[2], *photographs, settings(epochs=2, seed=1), tmp_path / "2")
    assert same_weights(encoders[0], encoders[1])
    assert not same_weights(encoders[0], encoders[2])


@pytest.mark.parametrize("change", ["settings", "images", "weights", "k"])
def test_the_checkpoint_of_another_training_is_not_continued(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    train_until_killed(tiny_encoder(), photographs, tmp_path, 2, epochs=2)
    train_set, val_set = photographs
    if change == "images":
        train_set = ImageSet(train_set.paths, train_set.labels, ["0" * 64, *train_set.sha256[1:]])
    with caplog.at_level(logging.INFO, "cbir"):
        train(
            tiny_encoder(seed=int(change == "weights")),
            train_set,
            val_set,
            settings(epochs=2, margin=0.3 if change == "settings" else 0.2),
            tmp_path,
            k=5 if change == "k" else None,
        )
    assert "starts anew" in caplog.text
    assert "epoch 1 of 2" in caplog.text


@pytest.mark.parametrize(
    ("monitor", "values", "best", "epochs"),
    [
        # Best at epoch 1; two epochs without a better one end the training.
        ("anmrr", [0.5, 0.3, 0.4, 0.3, 0.1], 1, 3),
        ("map", [0.5, 0.3, 0.6, 0.6, 0.2], 2, 4),
        # Every epoch is worse than before training, so the initial weights are kept.
        ("anmrr", [0.2, 0.3, 0.3, 0.1, 0.1], 0, 2),
        ("precision-at-k", [0.5, 0.3, 0.6, 0.6, 0.2], 2, 4),
        ("nmrr-at-k", [0.5, 0.3, 0.4, 0.3, 0.1], 1, 3),
    ],
)
def test_early_stopping_keeps_the_weights_of_the_best_validation(
    photographs: tuple[ImageSet, ImageSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    monitor: str,
    values: list[float],
    best: int,
    epochs: int,
) -> None:
    left, weights = list(values), []
    encoder = tiny_encoder()

    def quality(*_: Any) -> dict[str, float]:
        weights.append(encoder.get_weights())
        return {"map": 0.5, "anmrr": 0.5, monitor.replace("-", "_"): left.pop(0)}

    monkeypatch.setattr(training, "retrieval_quality", quality)
    history = train(encoder, *photographs, settings(monitor=monitor, patience=2), tmp_path, k=3)
    assert history["epoch"].iloc[-1] == epochs
    assert history["best"].tolist() == [int(epoch == best) for epoch in range(epochs + 1)]
    assert all(np.array_equal(a, b) for a, b in zip(encoder.get_weights(), weights[best], strict=True))


def test_an_epoch_is_logged_with_rate_and_remaining_time(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "cbir"):
        train(tiny_encoder(), *photographs, settings(epochs=2), tmp_path)
    assert any(
        line.startswith("epoch 1 of 2: loss") and "images a second" in line and "s left" in line
        for line in caplog.messages
    )


def test_a_collapsed_embedding_is_an_error_with_a_remedy(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    inputs = keras.Input((16, 16, 3))
    # Every image is mapped to the bias, and no gradient can separate them, because dead units do not change.
    dead = layers.Conv2D(4, 1, activation="relu", bias_initializer=keras.initializers.Constant(-100))(
        from_minus_one_to_one(inputs)
    )
    outputs = layers.Dense(4, bias_initializer="ones")(layers.GlobalAveragePooling2D()(dead))
    with pytest.raises(InputError, match=r"collapsed: by epoch 20 .* set training.mining to semi-hard or random"):
        # 3 steps an epoch; the collapse is reported after 60 steps.
        train(keras.Model(inputs, outputs), *photographs, settings(epochs=100, patience=100), tmp_path)


def test_frozen_batch_normalisation_keeps_its_statistics_and_learns_scale_and_offset(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    changed = {}
    for mode in ("frozen", "moving"):
        encoder, before = tiny_encoder(), tiny_encoder()
        train(encoder, *photographs, settings(batch_norm=mode, epochs=1, monitor="map", patience=1), tmp_path / mode)
        # The best epoch may be the state before training, so the last state is compared.
        with np.load(tmp_path / mode / "checkpoint.npz") as stored:
            encoder.set_weights([stored[f"weights/{i}"] for i in range(len(encoder.get_weights()))])
        pairs = zip(encoder.layers[4].variables, before.layers[4].variables, strict=True)
        changed[mode] = {a.name: not np.array_equal(a, b) for a, b in pairs}
    assert changed["frozen"] == {"gamma": True, "beta": True, "moving_mean": False, "moving_variance": False}
    assert changed["moving"] == {"gamma": True, "beta": True, "moving_mean": True, "moving_variance": True}


def test_the_model_normalises_only_if_configured(photographs: tuple[ImageSet, ImageSet]) -> None:
    batches = PlainBatches(Photographs(photographs[0].paths, (16, 16, 3)), 4, 1)
    encoder = tiny_encoder()
    plain = encoder.predict(batches, verbose=0)
    raw = TrainingModel(encoder, None, settings(normalise=False)).predict(batches, verbose=0)
    unit = TrainingModel(encoder, None, settings(normalise=True)).predict(batches, verbose=0)
    np.testing.assert_allclose(raw, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-4, atol=1e-5)


def test_mixed_precision_trains_a_twin_and_leaves_the_encoder_in_float32(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    encoder = tiny_encoder()
    twin = half_precision_twin(encoder)
    assert same_weights(twin, encoder)
    assert twin(np.zeros((1, 16, 16, 3), dtype=np.float32)).dtype == "float16"
    # In float16, 1 / 127.5 - 1 would be 4e-5 off.
    assert [layer.compute_dtype for layer in twin.layers[1:4]] == ["float32", "float32", "float16"]
    assert {variable.dtype for variable in twin.variables} == {"float32"}

    train(encoder, *photographs, settings(mixed_precision=True, epochs=2, learning_rate=0.05), tmp_path)
    assert ops.dtype(encoder(np.zeros((1, 16, 16, 3), dtype=np.float32))) == "float32"
    assert not same_weights(encoder, twin)


def test_an_image_that_cannot_be_read_is_named(photographs: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    train_set, val_set = photographs
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    train_set = ImageSet([*train_set.paths[:-1], str(broken)], train_set.labels, train_set.sha256)
    for workers in (1, 2):
        with pytest.raises(InputError, match=r"broken\.png could be read when the collection was made but not now"):
            train(tiny_encoder(), train_set, val_set, settings(), tmp_path, workers)


def test_too_few_categories_or_no_validation_is_reported(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path
) -> None:
    train_set, val_set = photographs
    one = ImageSet(train_set.paths[:5], train_set.labels[:5], train_set.sha256[:5])
    with pytest.raises(InputError, match="fewer than 2 categories"):
        train(tiny_encoder(), one, val_set, settings(), tmp_path)
    with pytest.raises(InputError, match="val split has no image"):
        train(tiny_encoder(), train_set, ImageSet([], np.array([], dtype=np.int64), []), settings(), tmp_path)


def test_images_are_kept_in_memory_only_if_they_fit(
    photographs: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = photographs[0].paths
    # Fifteen images of 16 * 16 * 3 = 768 bytes.
    for limit, kept in ((15 * 768, 15), (15 * 768 - 1, 0)):
        monkeypatch.setattr("cbir.training.batches.CACHE_BYTES", limit)
        source = Photographs(paths, (16, 16, 3))
        first = [source[i] for i in range(15)]
        assert len(source.cache) == kept
        assert all(np.array_equal(source[i], first[i]) for i in range(15))


@pytest.mark.parametrize("kind", ["dtype", "shape", "more", "best", "optimizer", "history", "figure"])
def test_a_checkpoint_with_parts_of_other_types_is_not_continued(
    photographs: tuple[ImageSet, ImageSet], tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    train_until_killed(tiny_encoder(), photographs, tmp_path, epoch=2)
    path = tmp_path / training.CHECKPOINT
    with np.load(path, allow_pickle=False) as stored:
        parts = dict(stored)
    state = json.loads(str(parts["state"]))
    if kind == "dtype":
        parts["weights/0"] = parts["weights/0"].astype("S9")
    elif kind == "shape":
        parts["weights/1"] = parts["weights/1"][None]
    elif kind == "more":
        parts[f"weights/{sum(name.startswith('weights/') for name in parts)}"] = np.zeros(3, np.float32)
    elif kind == "best":
        parts["best_weights/0"] = np.zeros(3, np.float32)
    elif kind == "optimizer":
        parts["optimizer/0"] = np.zeros((9, 9), np.float32)
    elif kind == "history":
        del state["history"][0]["map"]
    else:
        state["history"][0]["map"] = "0.5"
    parts["state"] = np.array(json.dumps(state))
    np.savez(path, allow_pickle=False, **parts)
    caplog.clear()
    caplog.set_level(logging.INFO)
    model = tiny_encoder()
    history = train(model, *photographs, settings(), tmp_path)
    logged = [record.message for record in caplog.records]
    assert any("checkpoint.npz" in line and "starts anew" in line for line in logged)
    assert not any("training goes on" in line for line in logged)
    assert list(history["epoch"]) == list(range(len(history)))


def test_the_padding_of_the_last_batch_with_jax_is_removed() -> None:
    padded = np.arange(128, dtype=np.float32).reshape(64, 2)
    trainer = object.__new__(training._Trainer)
    trainer.model = SimpleNamespace(predict=lambda batches, verbose: padded)
    trainer.workers = 1
    assert np.array_equal(trainer._embed(Photographs(["a.png"] * 7, (4, 4, 3))), padded[:7])
