"""Check a configuration against its schema and for consistency, with errors of one sentence."""

import copy
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from cbir.files.errors import InputError
from cbir.files.registry import words

_PACKAGE = Path(__file__).parents[1]
_is_type = jsonschema.Draft202012Validator.TYPE_CHECKER.is_type


def check(
    config: dict[str, Any],
    schema: dict[str, Any],
    given: dict[str, Any] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Check a configuration and add the defaults of the schema.

    Strings are parsed as YAML where the schema does not allow a string, because ``--config`` passes nested values as
    strings. A leading ``~`` of a path is replaced by the home folder.

    Args:
        config: the merged configuration of config.yaml, ``--configfile`` files and ``--config``.
        schema: the JSON schema (draft 2020-12), with the additional keyword ``registry``, see `with_words`.
        given: the configuration of ``--configfile`` files and ``--config`` alone. Keys that are not in it are defaults.
            A default that refers to a row that is switched off is removed; the same reference in ``given`` is an error.
            If it is None, every such reference is an error.
        tell: called with a sentence about everything that is removed.

    Returns:
        The complete configuration, without rows that are switched off (null).

    Raises:
        InputError: naming the key and the allowed values.
    """
    schema = with_words(schema)
    config = _read(config, schema)
    _require_plain(config, "")
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is not None:
        # For `oneOf` report all alternatives, not the errors within one of them.
        raise InputError(_sentence(error.parent or error))
    if given is not None:
        config = _take_as_given(config, given)
        config = _without_trainings(_choose_source(config, given), given, tell)
        config = _without_users_of_what_is_off(config, given, tell)
    complete = _complete(config, schema)
    _choose_given_split(complete, given or {})
    if complete["collection"]["labels"] == "none":
        _leave_out_what_needs_labels(complete)
    _check_references(complete)
    return complete


def with_words(schema: Any) -> Any:
    """Return a schema in which each ``registry`` is expanded to an ``enum`` of the names of its entries.

    ``registry: training/losses`` names a folder of the package `cbir`, see `cbir.files.registry`. Null is allowed, too,
    if the ``type`` of the key allows it. If the registry has prefixes such as ``file:``, an ``anyOf`` allows both the
    ``enum`` and words with these prefixes.

    Args:
        schema: the JSON schema or a part of it.

    Raises:
        FileNotFoundError: when there is no such registry.
    """
    if isinstance(schema, list):
        return [with_words(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    filled = {name: with_words(part) for name, part in schema.items()}
    if isinstance(filled.get("registry"), str):
        found = words(_PACKAGE / filled["registry"])
        filled["enum"] = [word for word in found if not word.endswith(":")] + [None] * ("null" in _types(filled))
        if prefixes := [word for word in found if word.endswith(":")]:
            begin = {"type": "string", "pattern": f"^({'|'.join(map(re.escape, prefixes))})."}
            filled["anyOf"] = [{"enum": filled.pop("enum")}, begin | {"prefixes": prefixes}]
    return filled


def _read(value: Any, schema: Any) -> Any:
    """Return ``value`` with its strings converted to the types that the schema requires."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, str):
        value = _from_text(value, schema)
    if isinstance(value, dict):
        known, rows = schema.get("properties", {}), schema.get("additionalProperties")
        return {name: _read(item, known.get(name, rows)) for name, item in value.items()}
    if isinstance(value, list):
        return [_read(item, schema.get("items")) for item in value]
    return value


def _from_text(text: str, schema: dict[str, Any]) -> Any:
    types = _types(schema)
    if "string" in types or not types:
        if "null" in types and text.lower() == "null":
            return None
        return os.path.expanduser(text) if schema.get("format") == "path" else text
    try:
        # In YAML 1.1, 1e-4 is a string.
        meant = float(text) if re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", text) else yaml.safe_load(text)
    # Deeply nested YAML raises a RecursionError.
    except (ValueError, yaml.YAMLError, RecursionError):
        return text
    return meant if any(_is_type(meant, name) for name in types) else text


def _types(schema: dict[str, Any]) -> set[str]:
    """Return the JSON types that a schema allows; empty if it does not restrict the type."""
    own = schema.get("type", [])
    options = [option for key in ("anyOf", "oneOf") for option in schema.get(key, []) if isinstance(option, dict)]
    return {own} if isinstance(own, str) else set(own).union(*map(_types, options))


def _require_plain(value: Any, key: str) -> None:
    """Refuse keys that are not strings and numbers that are not finite, which YAML allows and JSON does not."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"config: {key} is {value}, but must be a finite number.")
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(name, str):
                raise InputError(
                    f"config: {key or 'the configuration'} has the name {name}, which YAML does not take for text; "
                    "put it in quotes."
                )
            _require_plain(item, f"{key}.{name}".removeprefix("."))


def _is_given(given: Any, *path: str) -> bool:
    """Return whether ``--configfile`` files or ``--config`` set a key."""
    for name in path:
        if not isinstance(given, dict) or name not in given:
            return False
        given = given[name]
    return True


def _take_as_given(config: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Undo Snakemake's merge of config.yaml with a given loss or given steps, which must replace the defaults.

    Merged dictionaries of losses would be summed, and the default ``choose`` would remain for steps without lists.
    """
    config = copy.deepcopy(config)
    for name, row in config["encoders"].items():
        if row is None or not _is_given(given, "encoders", name, "training", "loss"):
            continue
        loss = given["encoders"][name]["training"]["loss"]
        if isinstance(loss, dict):
            row["training"]["loss"] = {key: row["training"]["loss"][key] for key in loss}
    for name, row in config["methods"].items():
        if row is not None and _is_given(given, "methods", name, "steps"):
            for key in ("choose", "monitor"):
                if not _is_given(given, "methods", name, key):
                    row.pop(key, None)
    return config


def _choose_source(config: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Choose the source if only a path is given: ``manifest`` for a file, ``folder`` otherwise."""
    path = config["collection"]["path"]
    if path is None or not _is_given(given, "collection", "path") or _is_given(given, "collection", "source"):
        return config
    source = "manifest" if os.path.isfile(path) else "folder"
    return config | {"collection": config["collection"] | {"source": source}}


def _without_trainings(config: dict[str, Any], given: dict[str, Any], tell: Callable[[str], None]) -> dict[str, Any]:
    """Without labels, remove default encoders that are trained and default methods with chosen values."""
    if config["collection"].get("labels") != "none":
        return config
    encoders, methods = dict(config["encoders"]), dict(config["methods"])
    tell(
        "The images have no categories (collection.labels is none): all of them are the gallery, and nothing is "
        "trained, evaluated, compared or simulated."
    )
    for name, row in encoders.items():
        if row is not None and row.get("training") is not None and not _is_given(given, "encoders", name):
            encoders[name] = None
            tell(f"The encoder {name} is left out: it is trained by categories.")
    for name, row in methods.items():
        if row is not None and "choose" in row and not _is_given(given, "methods", name):
            methods[name] = None
            tell(f"The method {name} is left out: its values are chosen by categories.")
    return config | {"encoders": encoders, "methods": methods, "comparison": config["comparison"] | {"pairs": []}}


def _without_users_of_what_is_off(
    config: dict[str, Any], given: dict[str, Any], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Remove defaults that refer to an encoder or method that is switched off (null); keys in ``given`` are kept."""
    config = copy.deepcopy(config)
    encoders, methods, feedback = config["encoders"], config["methods"], config["feedback"]

    def is_given(*path: str) -> bool:
        return _is_given(given, *path)

    def is_off(rows: dict[str, Any], name: str) -> bool:
        return name in rows and rows[name] is None

    # A method that is left out may be part of one that was looked at before it.
    for _ in range(len(methods)):
        for name, row in methods.items():
            if row is None or is_given("methods", name):
                continue
            off = [f"the method {part}" for part in parts(row) if is_off(methods, part)]
            if is_off(encoders, row.get("encoder", "")):
                off = [f"the encoder {row['encoder']}"]
            if off:
                methods[name] = None
                tell(f"The method {name} is left out: it needs {off[0]}, which is switched off.")
    used = {row.get("encoder") for row in methods.values() if row is not None}
    for name, row in encoders.items():
        if row is not None and name not in used and not is_given("encoders", name):
            encoders[name] = None
            tell(f"The encoder {name} is left out: no method uses it.")
    if not is_given("comparison", "pairs"):
        for pair in list(config["comparison"]["pairs"]):
            if off := [name for name in pair if is_off(methods, name)]:
                config["comparison"]["pairs"].remove(pair)
                tell(f"The comparison of {pair[0]} with {pair[1]} is left out: {off[0]} is switched off.")
    on = [name for name, row in methods.items() if row is not None]
    if is_off(methods, feedback["method"]) and on:
        if is_given("feedback", "method"):
            _require("method", feedback["method"], on, "feedback.method")
        tell(f"feedback.method is {on[0]}: {feedback['method']} is switched off.")
        feedback["method"] = on[0]
    if feedback["simulation"]["methods"] is not None and not is_given("feedback", "simulation", "methods"):
        for name in [name for name in feedback["simulation"]["methods"] if is_off(methods, name)]:
            feedback["simulation"]["methods"].remove(name)
            tell(f"The simulated user leaves out {name}, which is switched off.")
    return config


def _complete(value: Any, schema: dict[str, Any]) -> Any:
    # JSON Schema accepts 3.0 as an integer; Python code needs an int.
    if isinstance(value, float) and "integer" in schema.get("type", ()):
        return int(value)
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    rows = schema.get("additionalProperties") or {}
    filled = {name: part["default"] for name, part in known.items() if "default" in part} | value
    # Null switches a row off, so the row is removed. Null as the value of a key of the schema is kept.
    return {
        name: _complete(item, known.get(name, rows))
        for name, item in filled.items()
        if item is not None or name in known
    }


def _choose_given_split(config: dict[str, Any], given: dict[str, Any]) -> None:
    """Set the protocol to ``given`` if ``split.from`` is set; it is an error to set another protocol as well."""
    split, asked = config["split"], (given.get("split") or {}).get("protocol", "given")
    if split["from"] is None:
        return
    if asked != "given":
        raise InputError(
            f"config: split.from is {split['from']}, which is for split.protocol given, but split.protocol is {asked}: "
            "take one of the two out."
        )
    split["protocol"] = "given"


def _leave_out_what_needs_labels(config: dict[str, Any]) -> None:
    """Switch off the parts of the configuration that need labels.

    Raises:
        InputError: when an encoder, a method or the split needs labels.
    """
    why = "by categories, but collection.labels is none"
    if trained := sorted(name for name, row in config["encoders"].items() if row["training"] is not None):
        off = ", ".join(f"{name}: null" for name in trained)
        raise InputError(
            f"config: encoders.{trained[0]}.training trains {why}: switch off what is trained "
            f"(`encoders: {{{off}}}`), or set training to null."
        )
    for name, row in config["methods"].items():
        if "choose" in row:
            raise InputError(f"config: methods.{name}.choose compares values {why}: give each option one value.")
    if config["split"]["from"] is not None:
        raise InputError(
            f"config: split.from is {config['split']['from']}, but without labels nothing is split: take it out."
        )
    config["split"]["protocol"] = "gallery"
    config["comparison"]["pairs"] = []
    config["queries"]["choose"] = []
    config["feedback"]["simulation"]["methods"] = []


def check_value(value: Any, schema: dict[str, Any], key: str) -> Any:
    """Check a single value against its schema, and return it; strings are converted as in `check`.

    Raises:
        InputError: naming ``key`` and the allowed values.
    """
    value = _read(value, schema)
    _require_plain(value, key)
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if error is not None:
        raise InputError(_sentence(error, key))
    return value


def _sentence(error: jsonschema.ValidationError, above: str = "") -> str:
    key = ".".join([*filter(None, [above]), *map(str, error.absolute_path)]) or "the configuration"
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
        "not": lambda: f"another than {json.dumps(value.get('const'))}",
        "pattern": lambda: f"like {value}",
    }
    if rule == "oneOf":
        kinds = "; or ".join(_keys_of(option) for option in value)
        return f"config: {key} is {shown}, but must have exactly these keys: {kinds}."
    if rule == "anyOf" and "prefixes" in value[-1]:
        known = [*map(str, value[0]["enum"]), *(f"{prefix}..." for prefix in value[-1]["prefixes"])]
        return f"config: {key} is {shown}, but must be one of {', '.join(known)}."
    if rule == "anyOf" and "description" in error.schema:
        return f"config: {key} is {shown}, which is not allowed: {error.schema['description']}"
    if rule in allowed:
        return f"config: {key} is {shown}, but must be {allowed[rule]()}."
    return f"config: {key} is {shown}: {error.message}."


def _keys_of(option: dict[str, Any]) -> str:
    """Return the required keys of one kind of row as text, and the keys that ``optional`` in the schema lists."""
    keys = ", ".join(_with_value(name, option) for name in option["required"])
    return f"{keys} (and, if wanted, {', '.join(option['optional'])})" if "optional" in option else keys


def _with_value(name: str, option: dict[str, Any]) -> str:
    part = option["properties"].get(name, {})
    return f"{name}: {part['const']}" if "const" in part else name


def _check_references(config: dict[str, Any]) -> None:
    source, path = config["collection"]["source"], config["collection"]["path"]
    own = {"folder": "the folder of images", "manifest": "the CSV file that lists them"}
    if source in own and path is None:
        raise InputError(f"config: collection.path is not set; with source: {source} it must name {own[source]}.")
    if config["split"]["protocol"] == "gallery" and config["collection"]["labels"] != "none":
        raise InputError(
            "config: split.protocol is gallery, which leaves no image to evaluate with: set collection.labels to none, "
            "or choose another protocol."
        )
    if config["split"]["from"] == "manifest" and source != "manifest":
        raise InputError(f"config: split.from is manifest, but collection.source is {source}: set it to manifest.")
    if config["split"]["from"] == "folders" and source == "manifest":
        raise InputError(
            "config: split.from is folders, but collection.source is manifest: set split.from to manifest."
        )
    if source not in own and path is not None:
        raise InputError(
            f"config: collection.path is {os.path.abspath(path)}, but collection.source is {source}, which does not "
            "read it: set collection.source to folder, or collection.path to null."
        )
    # As fractions, because the floats 0.6, 0.2 and 0.2 do not sum to 1.
    total = sum(Fraction(str(config["split"][name])) for name in ("train", "val", "test"))
    if total != 1:
        raise InputError(f"config: split.train, split.val and split.test sum to {float(total)}, but must sum to 1.")
    for kind in ("encoders", "methods"):
        if not config[kind]:
            raise InputError(f"config: {kind} has no row that is switched on; give it one.")
    for name, row in config["encoders"].items():
        wanted = {"bfloat16": "OpenVINO", "tf32": "TensorFlow"}.get(row["precision"])
        if wanted is not None and wanted.lower() != row["runtime"]:
            raise InputError(
                f"config: encoders.{name}.precision is {row['precision']}, which needs {wanted}: set "
                f"encoders.{name}.runtime to {wanted.lower()}."
            )
        if row["freeze"] and row["training"] is None:
            raise InputError(
                f"config: encoders.{name}.freeze is true, but the encoder is not trained: take it out, or set training."
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
    for name in config["index"]["methods"]:
        _require("method", name, config["methods"], "index.methods")
    # The same formula as `cbir.evaluation.significance.least_resamples`. A significant difference needs half as many.
    least = math.ceil(2 / (1 - Fraction(str(config["comparison"]["confidence"])))) - 1
    if config["comparison"]["resamples"] < least:
        raise InputError(
            f"config: comparison.resamples is {config['comparison']['resamples']}, too few for an interval and a real "
            f"difference at the confidence {config['comparison']['confidence']}: set it to at least {least}."
        )
    try:
        TopologicalSorter({name: parts(row) for name, row in config["methods"].items()}).prepare()
    except CycleError as error:
        # The cycle lists each method before the methods that are made from it.
        circle = error.args[1][::-1]
        raise InputError(f"config: methods.{circle[0]} is made from itself ({' from '.join(circle)}).") from None


def require_weights(config: dict[str, Any], sources: Mapping[str, Collection[str]]) -> None:
    """Check that the weights of each encoder exist: published weights of its architecture, or a file.

    Args:
        config: the complete configuration.
        sources: the names of the published weights of each architecture, such as ``imagenet``.

    Raises:
        InputError: naming the key and the file.
    """
    for name, row in config["encoders"].items():
        own = sources[row["architecture"]]
        words = sorted({"random", *own})
        if row["weights"] not in own and any(row["weights"] in known for known in sources.values()):
            raise InputError(
                f"config: encoders.{name}.weights is {row['weights']}, but there are no such weights for the "
                f"architecture {row['architecture']}: make it {', '.join(words)} or a weights file."
            )
        if row["weights"] not in words and not os.path.isfile(row["weights"]):
            raise InputError(
                f"config: encoders.{name}.weights is {row['weights']}, but there is no file "
                f"{os.path.abspath(row['weights'])}: make it {', '.join(words)} or the path of a weights file (a "
                "relative one starts in the folder of the run)."
            )


def _require(kind: str, name: str, known: Iterable[str], key: str) -> None:
    if name not in known:
        raise InputError(
            f"config: {key} names the {kind} {name!r}, which is not there; known are {', '.join(sorted(known))}."
        )


def canonical(value: Any) -> str:
    """Return plain data as a JSON string that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def parts(row: dict[str, Any]) -> list[str]:
    """Return the methods whose features a derived method uses; empty for the features of an encoder."""
    return list(row.get("combine", [])) + [row[key] for key in ("of",) if key in row]
