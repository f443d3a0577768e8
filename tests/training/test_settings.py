from dataclasses import asdict
from typing import Any

import pytest

from cbir.files.errors import InputError
from cbir.training.settings import TrainingSettings
from training.made import row, settings


def test_settings_are_read_from_the_configuration_and_have_no_defaults() -> None:
    given = row(mining="random", margin=1, augment={"flip": False})
    assert asdict(TrainingSettings.from_row(given)) == given
    # Only newer settings have a default, so that older checkpoints stay valid.
    for key in given.keys() - {"freeze_below", "most_images"}:
        with pytest.raises((KeyError, TypeError), match=key):
            TrainingSettings.from_row({name: value for name, value in given.items() if name != key})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"minning": "random"}, "minning"),
        ({"augment": {"rotate": 5}}, "augment.rotate"),
        ({"loss": "triplets"}, "loss"),
        ({"mining": "easy"}, "mining"),
        ({"schedule": "step"}, "schedule"),
        ({"monitor": "loss"}, "monitor"),
        ({"batch_norm": "off"}, "batch_norm"),
        ({"margin": 0}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"categories_per_batch": 1}, "categories_per_batch"),
        ({"images_per_category": 1}, "images_per_category"),
        ({"epochs": 0}, "epochs"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"patience": 0}, "patience"),
        ({"warmup_epochs": 10, "epochs": 10}, "warmup_epochs"),
        ({"augment": {"crop": 1.0}}, "augment.crop"),
        ({"augment": {"colour": -0.1}}, "augment.colour"),
        ({"seed": -1}, "seed"),
    ],
)
def test_invalid_settings_are_named(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=rf"^training\.{key} is "):
        settings(**changes)


def test_no_number_of_steps_means_one_pass() -> None:
    assert settings(steps_per_epoch=None).steps_per_epoch is None


@pytest.mark.parametrize(
    ("most", "images", "epochs"), [(None, 100, 10), (1000, 100, 10), (999, 100, 9), (250, 100, 2), (99, 100, 1)]
)
def test_a_limit_of_images_reduces_the_epochs_to_one_at_least(most: int | None, images: int, epochs: int) -> None:
    cut = settings(epochs=10, warmup_epochs=3, most_images=most).within_most_images(images)
    assert (cut.epochs, cut.warmup_epochs) == (epochs, min(3, epochs - 1))
