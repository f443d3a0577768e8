"""Read, check and write refinements as JSON.

A refinement may come from anybody, so nothing in it is trusted. Every mistake becomes one sentence that names the file
and the key.
"""

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from cbir.feedback.strategies import REGISTRY, Weights
from cbir.files.errors import InputError

SCHEMA = resources.files(__package__) / "refinement.schema.json"

# Enough for ten thousand judgements, and small enough to be read into memory.
MAX_BYTES = 1_000_000

# More than the format needs, and few enough for recursive code.
_MAX_DEPTH = 8

_TYPES = {
    "object": "an object {...}",
    "array": "a list [...]",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
}


@dataclass(frozen=True)
class Round:
    """One round's judgements: image_ids (str), or rank positions from 0 in the previous round's results (int)."""

    relevant: tuple[str | int, ...] = ()
    irrelevant: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Refinement:
    """A query refined over rounds, see refinement.schema.json; ``source`` is the refinement's name in messages."""

    query: str
    method: str
    k: int
    strategy: str
    weights: Weights
    rounds: tuple[Round, ...]
    source: str
    judged_first: bool = False


def read(
    path: str | Path, methods: Collection[str], weights: Weights, method: str | None = None, k: int | None = None
) -> Refinement:
    """Read a refinement's file; arguments as in ``parse``.

    Raises:
        InputError: when the file is missing, is not a regular file or is too large, or as in ``parse``.
    """
    path = Path(path)
    try:
        # Checked first, because opening a named pipe would block until somebody writes to it.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path} cannot be read (no regular file): put the refinement's own file there.")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path and its permissions.") from None
    return parse(data, str(path), methods, weights, method, k)


def parse(
    data: bytes,
    source: str,
    methods: Collection[str],
    weights: Weights,
    method: str | None = None,
    k: int | None = None,
) -> Refinement:
    """Parse and check a refinement's JSON. Its image_ids and ranks are not checked, since that needs the gallery.

    Args:
        data: the JSON as UTF-8.
        source: its name in messages: the file's path, or "The request".
        methods: the names of the configured methods.
        weights: the configured weights, the defaults of those in the refinement.
        method: the default method; None makes the key required.
        k: the default k; likewise.

    Raises:
        InputError: when it is not JSON, repeats a key, breaks the schema or names an unknown method.
    """
    value = _load(data, source)
    error = next(_validator().iter_errors(value), None)
    if error is not None:
        raise InputError(f"{source}: {_sentence(error)}")
    value = {"method": method, "k": k} | value
    for key in ("method", "k"):
        if value[key] is None:
            raise InputError(f"{source}: the refinement lacks the key {key}: add it.")
    if value["method"] not in methods:
        known = ", ".join(sorted(methods))
        raise InputError(f"{source}: method {show(value['method'])} is not configured: choose one of {known}.")
    chosen = {name: float(value.get(name, getattr(weights, name))) for name in ("alpha", "beta", "gamma")}
    return Refinement(
        query=value["query"],
        method=value["method"],
        k=int(value["k"]),
        strategy=value.get("strategy", "rocchio"),
        weights=Weights(**chosen),
        rounds=tuple(
            Round(**{verdict: tuple(_judged(item) for item in items) for verdict, items in judgements.items()})
            for judgements in value["rounds"]
        ),
        source=source,
        judged_first=value.get("judged_first", False),
    )


def as_json(refinement: Refinement) -> dict[str, Any]:
    """Return the refinement as plain data in the format that ``parse`` reads, with all defaults filled in."""
    return {
        "query": refinement.query,
        "method": refinement.method,
        "k": refinement.k,
        "strategy": refinement.strategy,
        "alpha": refinement.weights.alpha,
        "beta": refinement.weights.beta,
        "gamma": refinement.weights.gamma,
        "judged_first": refinement.judged_first,
        "rounds": [
            {"relevant": list(judgements.relevant), "irrelevant": list(judgements.irrelevant)}
            for judgements in refinement.rounds
        ],
    }


def locate_query(refinement: Refinement, image_ids: Collection[str], folder: str | Path) -> str | Path:
    """Return the query as an image_id of the collection (str) or as the real path of an image file (Path).

    If it could be both, it is an image_id. A path is relative to ``folder`` and must lead into it when symbolic links
    are resolved, so that a refinement from elsewhere cannot make the workflow read any other file of this machine.

    Args:
        refinement: the refinement.
        image_ids: those of the whole collection, best as a set.
        folder: the folder of the refinement's file.

    Raises:
        InputError: when the query is neither, or its path leads out of the folder.
    """
    query = refinement.query
    if query in image_ids:
        return query
    where = f"{refinement.source}: query {show(query)}"
    home = Path(os.path.realpath(folder))
    try:
        # Unlike Path.resolve, realpath does not raise on a loop of links; is_file is then false.
        path = Path(os.path.realpath(home / query))
        inside, there = path.is_relative_to(home), path.is_file()
    except (OSError, ValueError):
        # The name has a NUL or a lone surrogate, or is too long for the file system.
        inside, there = True, False
    if not inside:
        raise InputError(f"{where} leaves the folder {folder}: put the image into it and name it relative to it.")
    if not there:
        raise InputError(
            f"{where} is neither an image_id of the collection nor an image file in {folder}: correct one of the two."
        )
    return path


def show(value: Any) -> str:
    """Return a value from a refinement as short, printable ASCII for a message."""
    if isinstance(value, dict | list):
        return "an object {...}" if isinstance(value, dict) else "a list [...]"
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _load(data: bytes, source: str) -> Any:
    if len(data) > MAX_BYTES:
        raise InputError(f"{source} is larger than {MAX_BYTES} bytes: shorten its lists of judged images.")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for name, item in pairs:
            if name in mapping:
                raise InputError(f"{source}: the key {show(name)} is repeated in an object: keep one of them.")
            mapping[name] = item
        return mapping

    def constant(name: str) -> float:
        raise InputError(f"{source}: {name} is not a valid JSON number: write a finite number.")

    try:
        # utf-8-sig, because some editors write a byte order mark.
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=constant)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not valid JSON ({error}): mend or remove it.") from None
    _check_depth(value, source)
    return value


def _check_depth(value: Any, source: str) -> None:
    # A loop, because the recursive code that follows fails on deep nesting.
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for parent in level
            if isinstance(parent, dict | list)
            for item in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise InputError(f"{source} nests lists and objects deeper than a refinement does: compare it with the format.")


@cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["properties"]["strategy"]["enum"] = list(REGISTRY)
    return jsonschema.Draft202012Validator(schema)


def _sentence(error: ValidationError) -> str:
    """Return what is wrong and how to mend it; jsonschema's own messages print the whole value."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    value, limit = error.instance, error.validator_value
    where = key or "the refinement"
    given = f"{where} is {show(value)}"
    match error.validator:
        case "additionalProperties":
            known = list(error.schema["properties"])
            unknown = next(name for name in value if name not in known)
            return f"{where} has the unknown key {show(unknown)}: use only {', '.join(known)}."
        case "required":
            missing = next(name for name in limit if name not in value)
            return f"{where} lacks the key {missing}: add it."
        case "type":
            names = [limit] if isinstance(limit, str) else limit
            return f"{given}: write {' or '.join(_TYPES[name] for name in names)}."
        case "enum":
            return f"{given}: choose one of {', '.join(limit)}."
        case "minimum":
            return f"{given}: write a number of at least {limit}."
        case "maximum":
            return f"{given}: write a number of at most {limit}."
        case "minLength":
            return f"{given}: write a name."
        case "maxLength":
            return f"{given}: shorten it to {limit} characters."
        case "minItems":
            return f"{where} is empty: add an entry."
        case _:
            return f"{where} has {len(value)} entries: leave at most {limit}."


def _judged(item: str | float) -> str | int:
    # JSON Schema counts 2.0 as an integer.
    return item if isinstance(item, str) else int(item)
