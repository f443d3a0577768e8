from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from cbir.files.errors import InputError
from cbir.training.settings import AugmentSettings, TrainingSettings


def test_a_row_overrides_defaults() -> None:
    settings = TrainingSettings.from_row({"mining": "random", "margin": 1, "augment": {"flip": False}})
    assert (settings.mining, settings.margin) == ("random", 1)
    assert settings.augment == AugmentSettings(flip=False)
    assert settings.monitor == TrainingSettings().monitor


@pytest.mark.parametrize(
    ("row", "key"),
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
def test_what_cannot_be_trained_with_is_named(row: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=rf"^training\.{key} is "):
        TrainingSettings.from_row(row)


def test_no_number_of_steps_means_one_pass() -> None:
    assert TrainingSettings.from_row({"steps_per_epoch": None}).steps_per_epoch is None


def test_what_a_row_leaves_out_is_what_the_schema_of_the_configuration_fills_in() -> None:
    schema = yaml.safe_load(
        (Path(__file__).parents[2] / "scripts/cbir/workflow/config.schema.yaml").read_text(encoding="utf-8")
    )
    row = schema["properties"]["encoders"]["additionalProperties"]["properties"]["training"]["properties"]
    augment = {name: key["default"] for name, key in row["augment"]["properties"].items()}
    defaults = {name: key["default"] for name, key in row.items()} | {"augment": augment}
    assert asdict(TrainingSettings()) == defaults
