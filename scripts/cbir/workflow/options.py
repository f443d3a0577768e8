"""Check the options of steps and losses in the configuration before anything runs.

They are checked against the ``OPTIONS`` of the entry, see `cbir.features.steps`, which is read without importing it.
The options of an entry without ``OPTIONS`` are checked only when it is used.
"""

import json
import math
from typing import Any

from cbir.files.errors import InputError
from cbir.files.options import by_name
from cbir.files.registry import Registry
from cbir.workflow.configuration import check_value

MOST_CHOICES = 200
"""The largest number of combinations of values that are tried."""

# The schema of an option of an entry without OPTIONS. A string that is a number becomes one.
_ANYTHING: dict[str, Any] = {"anyOf": [{"type": ["integer", "number", "boolean", "null"]}, True]}


def check_steps(methods: dict[str, dict[str, Any]], registry: Registry) -> dict[str, dict[str, Any]]:
    """Check the ``steps`` of methods, and return the rows with strings converted as by `configuration.check`.

    Args:
        methods: the rows by name, already checked against the schema.
        registry: the registry of steps.

    Raises:
        InputError: naming the key and the allowed values.
    """
    return {name: _check_row(f"methods.{name}", row, registry) for name, row in methods.items()}


def check_losses(encoders: dict[str, dict[str, Any]], registry: Registry) -> dict[str, dict[str, Any]]:
    """Check the losses of encoders, and return the rows with strings converted as by `configuration.check`.

    Args:
        encoders: the rows by name, already checked against the schema.
        registry: the registry of losses.

    Raises:
        InputError: naming the key and the allowed values.
    """
    checked = dict(encoders)
    for name, row in encoders.items():
        if row["training"] is not None:
            loss = _check_loss(f"encoders.{name}.training.loss", row["training"]["loss"], registry)
            checked[name] = row | {"training": row["training"] | {"loss": loss}}
    return checked


def _check_loss(key: str, loss: Any, registry: Registry) -> Any:
    if isinstance(loss, str):
        return _check(key, loss, registry, [])
    if not loss:
        raise InputError(f"config: {key} is {{}}, but must name a loss.")
    lists = list[int]()
    checked: dict[str, Any] = {}
    for name, value in loss.items():
        checked |= _check(key, {name: value}, registry, lists)
    if lists:
        raise InputError(f"config: {key} has a list of values, but an option of a loss has one value.")
    return checked


def _check_row(key: str, row: dict[str, Any], registry: Registry) -> dict[str, Any]:
    if "steps" not in row:
        return row
    lists = list[int]()
    steps = [_check(f"{key}.steps.{place}", step, registry, lists) for place, step in enumerate(row["steps"])]
    if lists and "choose" not in row:
        raise InputError(
            f"config: {key}.steps has a list of values: add choose: val, which takes the best one, or give one value."
        )
    if not lists and "choose" in row:
        raise InputError(f"config: {key} has choose, but no list of values in its steps: add one or take choose out.")
    if "monitor" in row and "choose" not in row:
        raise InputError(f"config: {key} has monitor, but no choose: add choose: val or take monitor out.")
    if math.prod(lists) > MOST_CHOICES:
        raise InputError(
            f"config: {key}.steps has {math.prod(lists)} choices of values, but at most {MOST_CHOICES} are tried: "
            "shorten its lists."
        )
    return row | {"steps": steps}


def _check(key: str, written: Any, registry: Registry, lists: list[int]) -> Any:
    """Check an entry with its options, and return it in the same notation.

    Args:
        key: its key in the configuration, for messages.
        written: its name, or its name with its options.
        registry: the registry of the entry.
        lists: the length of each list of values is appended to it.

    Raises:
        InputError: naming the key and the allowed values.
    """
    shown = json.dumps(written, ensure_ascii=False)
    if isinstance(written, dict) and len(written) != 1:
        raise InputError(f"config: {key} is {shown}, but must be one {registry.kind}, such as {{NAME: OPTIONS}}.")
    name, value = (written, None) if isinstance(written, str) else next(iter(written.items()))
    if name not in set(registry):
        words = ", ".join(json.dumps(word) for word in registry)
        raise InputError(f"config: {key} is {shown}, but must be one of {words}, alone or with its options.")
    stated = registry.options(name)
    known = {**registry.common, **(stated or {})}
    if value is not None and not isinstance(value, dict) and stated is not None and not known:
        raise InputError(f"config: {key} is {shown}, but {name} has no options: write {name}.")
    asked = by_name(value, known)
    if stated is None:
        known = dict.fromkeys(asked, _ANYTHING) | known
    if unknown := sorted(asked.keys() - known.keys()):
        listed = f"; known are {', '.join(known)}" if known else ""
        raise InputError(f"config: {key}.{name} has the unknown key {unknown[0]!r}{listed}.")
    for option, schema in known.items():
        if option not in asked and "default" not in schema:
            raise InputError(f"config: {key}.{name} lacks a key: {option!r} is a required property.")
    checked = {}
    for option, given in asked.items():
        where = f"{key}.{name}.{option}"
        if isinstance(given, list):
            values = check_value(given, {"type": "array", "minItems": 1, "uniqueItems": True}, where)
            checked[option] = [check_value(one, known[option], where) for one in values]
            lists.append(len(values))
        else:
            checked[option] = check_value(given, known[option], where)
    if isinstance(written, str) or value is None:
        return written
    return {name: checked if isinstance(value, dict) else next(iter(checked.values()))}
