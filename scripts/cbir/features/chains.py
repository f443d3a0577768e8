"""The steps of a derived method, as the configuration writes them."""

from itertools import product
from typing import Any, NamedTuple

from cbir.files.options import Stated, by_name, defaults

Written = str | dict[str, Any]
"""A step as the configuration writes it: its name, its name with options such as ``{pca: {dimension: 64}}``, or its
name with the value of its first option, such as ``{pca: 64}``."""

Chain = list[Written]
"""Steps in the order in which they are applied."""


class Chains(NamedTuple):
    """The chains of a derived method.

    Attributes:
        parts: the chain of each combined method, applied before their features are concatenated.
        whole: the chain of the concatenated features.
    """

    parts: list[Chain]
    whole: Chain


def chains(row: dict[str, Any]) -> Chains:
    """Return the chains of steps of a derived method.

    Args:
        row: the method's row of the configuration: ``of`` with ``steps``; ``combine`` with ``normalise``, ``steps`` or
            both; or, in the older notation for a single step, ``transform`` with ``of``, where all other keys are
            options of the step.
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


def options_of(step: Written, stated: Stated) -> dict[str, Any]:
    """Return the options of a step, with the defaults of those that the configuration does not set.

    Args:
        step: the step as the configuration writes it.
        stated: all options of the step.
    """
    value = None if isinstance(step, str) else next(iter(step.values()))
    return defaults(stated) | by_name(value, stated)


def alternatives(step: Written) -> list[Written]:
    """Return one step for each combination of values from the lists of a step, as `itertools.product` orders them.

    A step without a list is returned alone.
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
    """Return ``row`` with ``steps``, which have single values, and without the keys that choose among values."""
    return {key: value for key, value in row.items() if key not in ("choose", "monitor")} | {"steps": steps}


def monitor_of(row: dict[str, Any]) -> str:
    """Return the metric by which the values of a row are chosen: its ``monitor``, by default ANMRR."""
    return str(row.get("monitor", "anmrr"))


def steps(row: dict[str, Any]) -> list[str]:
    """Return the names of all steps of a derived method, each once, sorted."""
    parts, whole = chains(row)
    return sorted({name_of(step) for chain in [*parts, whole] for step in chain})
