"""Settings of a training."""

from importlib import resources
from typing import Any

import yaml

from cbir.training.settings import TrainingSettings


def row(**changes: Any) -> dict[str, Any]:
    """Return a complete section ``training`` of an encoder, with values other than the schema's defaults."""
    schema = yaml.safe_load((resources.files("cbir.workflow") / "config.schema.yaml").read_text(encoding="utf-8"))
    keys = schema["properties"]["encoders"]["additionalProperties"]["properties"]["training"]["properties"]
    defaults = {name: key["default"] for name, key in keys.items()}
    augment = {name: key["default"] for name, key in keys["augment"]["properties"].items()}
    return defaults | changes | {"augment": augment | changes.get("augment", {})}


def settings(**changes: Any) -> TrainingSettings:
    """Return the settings of such a row."""
    return TrainingSettings.from_row(row(**changes))
