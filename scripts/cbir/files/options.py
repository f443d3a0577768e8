"""The options of a registry's entry: how the configuration writes them, and what the entry's ``OPTIONS`` adds."""

from collections.abc import Iterable, Mapping
from typing import Any

Stated = Mapping[str, Mapping[str, Any]]
"""The options of an entry with their JSON schemas, as its ``OPTIONS`` lists them."""


def by_name(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return options by their names.

    Args:
        value: the options as a dictionary, the value of the first option alone, or None if no option is set.
        names: the names of all options, in order. If there are none, a value gets a name that no entry knows, so that
            the check of the options refuses it.
    """
    if value is None:
        return {}
    return value if isinstance(value, dict) else {next(iter(names), "its first option"): value}


def defaults(stated: Stated) -> dict[str, Any]:
    """Return the default of each option that has one."""
    return {name: schema["default"] for name, schema in stated.items() if "default" in schema}
