"""Check a configuration against its schema and for sense, and say in one sentence what is wrong."""

import json
from collections.abc import Iterable
from typing import Any

import jsonschema

from cbir.errors import InputError


def check(config: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Check a whole configuration and fill in the schema's defaults.

    Args:
        config: what config.yaml and ``--configfile`` files give together.
        schema: the JSON schema (draft 2020-12).

    Returns:
        The configuration, complete, without the rows that are switched off (set to null).

    Raises:
        InputError: naming the key and what is allowed there.
    """
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is not None:
        raise InputError(_sentence(error))
    complete = _complete(config, schema)
    _check_references(complete)
    return complete


def _complete(value: Any, schema: dict[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    rows = schema.get("additionalProperties") or {}
    filled = {name: part["default"] for name, part in known.items() if "default" in part} | value
    # Null switches a row off; a known key that may be null keeps it.
    return {
        name: _complete(item, known.get(name, rows)) for name, item in filled.items() if item is not None or name in known
    }


def _sentence(error: jsonschema.ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "the configuration"
    rule, value = error.validator, error.validator_value
    shown = json.dumps(error.instance, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if rule == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(str(name) for name in set(error.instance) - set(known))
        return f"config: {key} has the unknown key {unknown[0]!r}; known are {', '.join(known)}."
    if rule == "propertyNames" or (error.parent is not None and error.parent.validator == "propertyNames"):
        return f"config: {key} has the name {shown}; a name consists of letters, digits, '-' and '_'."
    if rule == "required":
        return f"config: {key} lacks a key: {error.message}."
    allowed = {
        "enum": lambda: "one of " + ", ".join(json.dumps(item) for item in value),
        "type": lambda: " or ".join([value] if isinstance(value, str) else value),
        "minimum": lambda: f"at least {value}",
        "exclusiveMinimum": lambda: f"above {value}",
        "maximum": lambda: f"at most {value}",
        "exclusiveMaximum": lambda: f"below {value}",
        "minItems": lambda: f"a list of at least {value}",
        "maxItems": lambda: f"a list of at most {value}",
        "uniqueItems": lambda: "a list without repetitions",
        "minLength": lambda: "not empty",
    }
    if rule == "oneOf":
        kinds = "; or ".join(", ".join(option["required"]) for option in value)
        return f"config: {key} is {shown}, but must have exactly these keys: {kinds}."
    if rule in allowed:
        return f"config: {key} is {shown}, but must be {allowed[rule]()}."
    return f"config: {key} is {shown}: {error.message}."


def _check_references(config: dict[str, Any]) -> None:
    if config["collection"]["source"] == "folder" and not config["collection"]["path"]:
        raise InputError("config: collection.path is not set; with source: folder it must name the folder of images.")
    total = sum(round(config["split"][name] * 10**6) for name in ("train", "val", "test"))
    if total != 10**6:
        raise InputError("config: split.train, split.val and split.test sum to something else than 1.")
    for name, row in config["methods"].items():
        if "encoder" in row:
            _require("encoder", row["encoder"], config["encoders"], f"methods.{name}.encoder")
        for part in parts(row):
            _require("method", part, config["methods"], f"methods.{name}.{'combine' if 'combine' in row else 'of'}")
    for name in config["methods"]:
        _refuse_circle(name, config["methods"], [])


def _refuse_circle(name: str, methods: dict[str, Any], above: list[str]) -> None:
    if name in above:
        raise InputError(f"config: methods.{name} is made from itself ({' from '.join([*above, name])}).")
    for part in parts(methods[name]):
        _refuse_circle(part, methods, [*above, name])


def _require(kind: str, name: str, known: Iterable[str], key: str) -> None:
    if name not in known:
        raise InputError(f"config: {key} names the {kind} {name!r}, which is not there; known are {', '.join(sorted(known))}.")


def canonical(value: Any) -> str:
    """Return plain data as one string that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def parts(row: dict[str, Any]) -> list[str]:
    """Return the methods that a row of ``methods`` is made from; none for an encoder's features as they are."""
    return list(row.get("combine", [])) + [row[key] for key in ("of",) if key in row]
