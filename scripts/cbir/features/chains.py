"""Which steps the configuration asks of a derived method."""

from itertools import product
from typing import Any, NamedTuple

Written = str | dict[str, Any]
"""A step as the configuration writes it: its name, or its name with its options, such as ``{pca: {dimension: 64}}``, or
with the value of its first option, such as ``{pca: 64}``."""

Chain = list[Written]
"""Steps in the order in which they are applied."""


class Chains(NamedTuple):
    """The chains of a derived method.

    Attributes:
        parts: the chain of each part, before they are put side by side.
        whole: the chain of all features together.
    """

    parts: list[Chain]
    whole: Chain


def chains(row: dict[str, Any]) -> Chains:
    """Return the chains of steps of a derived method.

    Args:
        row: the method's row of the configuration: ``of`` with ``steps``; ``combine`` with ``normalise``, ``steps`` or
            both; or, as rows were written before there were ``steps``, ``transform`` with ``of``, where everything else
            is an option of that step.
    """
    if "transform" in row:
        options = {key: value for key, value in row.items() if key not in ("transform", "of")}
        return Chains([[{row["transform"]: options}]], [])
    if "combine" in row:
        own = [row["normalise"]] if "normalise" in row else []
        return Chains([own for _ in row["combine"]], row.get("steps", []))
    return Chains([[]], row["steps"])


def name_of(step: Written) -> str:
    """Return the name of a step in `cbir.features.steps`."""
    return step if isinstance(step, str) else next(iter(step))


def options_of(step: Written, first: str | None) -> dict[str, Any]:
    """Return the options of a step.

    Args:
        step: as it is written.
        first: the name of its first option, None if it has none.
    """
    value = None if isinstance(step, str) else next(iter(step.values()))
    if value is None:
        return {}
    return value if isinstance(value, dict) else {str(first): value}


def alternatives(step: Written) -> list[Written]:
    """Return the steps that a step with lists of values stands for: one for each choice of a value from each list.

    The last list varies fastest. A step without a list stands for itself.
    """
    if isinstance(step, str):
        return [step]
    [(name, value)] = step.items()
    if not isinstance(value, dict):
        return [{name: single} for single in _values(value)]
    return [{name: dict(zip(value, chosen, strict=True))} for chosen in product(*map(_values, value.values()))]


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def chosen_row(row: dict[str, Any], steps: Chain) -> dict[str, Any]:
    """Return the row that is fitted where values are chosen: ``row`` with these ``steps``, one choice of its lists."""
    return {key: value for key, value in row.items() if key not in ("choose", "monitor")} | {"steps": steps}


def monitor_of(row: dict[str, Any]) -> str:
    """Return the metric that a row's values are chosen by: ``monitor``, or ANMRR."""
    return str(row.get("monitor", "anmrr"))


def steps(row: dict[str, Any]) -> list[str]:
    """Return the names of all steps of a derived method, each once, sorted."""
    parts, whole = chains(row)
    return sorted({name_of(step) for chain in [*parts, whole] for step in chain})
