"""Check a configuration against its schema and for sense, and say in one sentence what is wrong."""

import json
import math
from collections.abc import Iterable
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import Any

import jsonschema

from cbir.errors import InputError

# Anchors can make a small file mean any number of values.
_MOST_VALUES = 100_000


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
    _require_plain(config, "", {})
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is not None:
        # Of a row of several kinds the whole choice is told, not what one kind would want.
        raise InputError(_sentence(error.parent or error))
    complete = _complete(config, schema)
    _check_references(complete)
    return complete


def _require_plain(value: Any, key: str, sizes: dict[int, int]) -> int:
    """Refuse what YAML can express and no key admits: names that are no text, infinite numbers, endless anchors.

    ``sizes`` tells how many values each list and dictionary met so far holds, by its id; 0 of those not yet left again.
    Returns how many values there are, anchors written out.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"config: {key} is {value}, but must be a finite number.")
    if not isinstance(value, dict | list):
        return 1
    if sizes.get(id(value), 1) == 0:
        raise InputError(f"config: {key} contains itself through a YAML anchor; write it out.")
    if id(value) not in sizes:
        sizes[id(value)] = 0
        size = 1
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(name, str):
                raise InputError(
                    f"config: {key or 'the configuration'} has the name {name}, which YAML does not take for text; "
                    "put it in quotes."
                )
            size += _require_plain(item, f"{key}.{name}".removeprefix("."), sizes)
        if size > _MOST_VALUES:
            raise InputError(f"config: {key or 'the configuration'} holds over {_MOST_VALUES:,} values; shorten it.")
        sizes[id(value)] = size
    return sizes[id(value)]


def _complete(value: Any, schema: dict[str, Any]) -> Any:
    # To JSON 3.0 is an integer; to Python it is none.
    if isinstance(value, float) and "integer" in schema.get("type", ()):
        return int(value)
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    rows = schema.get("additionalProperties") or {}
    filled = {name: part["default"] for name, part in known.items() if "default" in part} | value
    # Null switches a row off; a known key that may be null keeps it.
    return {
        name: _complete(item, known.get(name, rows))
        for name, item in filled.items()
        if item is not None or name in known
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
    if "propertyNames" in error.absolute_schema_path:
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
        "minProperties": lambda: "not empty",
        "const": lambda: json.dumps(value),
        "pattern": lambda: f"like {value}",
    }
    if rule == "oneOf":
        kinds = "; or ".join(", ".join(_with_value(name, option) for name in option["required"]) for option in value)
        return f"config: {key} is {shown}, but must have exactly these keys: {kinds}."
    if rule in allowed:
        return f"config: {key} is {shown}, but must be {allowed[rule]()}."
    return f"config: {key} is {shown}: {error.message}."


def _with_value(name: str, option: dict[str, Any]) -> str:
    part = option["properties"].get(name, {})
    return f"{name}: {part['const']}" if "const" in part else name


def _check_references(config: dict[str, Any]) -> None:
    if config["collection"]["source"] == "folder" and not config["collection"]["path"]:
        raise InputError("config: collection.path is not set; with source: folder it must name the folder of images.")
    # As the decimal fractions they are written as; as floats 0.6, 0.2 and 0.2 do not make 1.
    total = sum(Fraction(str(config["split"][name])) for name in ("train", "val", "test"))
    if total != 1:
        raise InputError(f"config: split.train, split.val and split.test sum to {float(total)}, but must sum to 1.")
    for kind in ("encoders", "methods"):
        if not config[kind]:
            raise InputError(f"config: {kind} has no row that is switched on; give it one.")
    for name, row in config["encoders"].items():
        if row["weights"] == "imagenet" and row["architecture"] != "mobilenetv2":
            raise InputError(
                f"config: encoders.{name}.weights is imagenet, which there are none of for the architecture "
                f"{row['architecture']}: make it random or a weights file."
            )
        if row["precision"] == "bfloat16" and row["runtime"] == "tensorflow":
            raise InputError(
                f"config: encoders.{name}.precision is bfloat16, which wants OpenVINO: set encoders.{name}.runtime to "
                "openvino."
            )
    for name, row in config["methods"].items():
        if "encoder" in row:
            _require("encoder", row["encoder"], config["encoders"], f"methods.{name}.encoder")
        for part in parts(row):
            _require("method", part, config["methods"], f"methods.{name}.{'combine' if 'combine' in row else 'of'}")
    for pair in config["comparison"]["pairs"]:
        for name in pair:
            if name not in config["methods"]:
                raise InputError(
                    f"config: comparison.pairs names the method {name!r}, which is unknown or switched off: correct it "
                    f"or take [{', '.join(pair)}] out; methods are {', '.join(sorted(config['methods']))}."
                )
    for name in config["feedback"]["simulation"]["methods"] or []:
        _require("method", name, config["methods"], "feedback.simulation.methods")
    # The smallest p-value of a permutation test is 1 / (resamples + 1).
    least = math.ceil(1 / (1 - config["comparison"]["confidence"]))
    if config["comparison"]["resamples"] < least:
        raise InputError(
            f"config: comparison.resamples is {config['comparison']['resamples']}, too few for a difference to be real "
            f"at the confidence {config['comparison']['confidence']}: set it to at least {least}."
        )
    try:
        TopologicalSorter({name: parts(row) for name, row in config["methods"].items()}).prepare()
    except CycleError as error:
        # The circle comes as parts first.
        circle = error.args[1][::-1]
        raise InputError(f"config: methods.{circle[0]} is made from itself ({' from '.join(circle)}).") from None


def _require(kind: str, name: str, known: Iterable[str], key: str) -> None:
    if name not in known:
        raise InputError(
            f"config: {key} names the {kind} {name!r}, which is not there; known are {', '.join(sorted(known))}."
        )


def canonical(value: Any) -> str:
    """Return plain data as one string that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def parts(row: dict[str, Any]) -> list[str]:
    """Return the methods that a row of ``methods`` is made from; none for an encoder's features as they are."""
    return list(row.get("combine", [])) + [row[key] for key in ("of",) if key in row]
