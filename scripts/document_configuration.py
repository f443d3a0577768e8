"""Write the tables of configuration keys in docs/configuration.md from the schema.

It takes no arguments. Run it after each change of scripts/cbir/workflow/config.schema.yaml or of an entry's OPTIONS.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cbir.files.registry import options, path, words
from cbir.files.tables import write_text
from cbir.workflow.configuration import with_words

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/configuration.md"
SCHEMA = ROOT / "scripts/cbir/workflow/config.schema.yaml"
BEGIN = "<!-- Begin of what scripts/document_configuration.py writes. -->\n"
END = "<!-- End of what scripts/document_configuration.py writes. -->\n"


def document(page: str, schema: dict[str, Any]) -> str:
    """Return the page with new tables between its two marks.

    Args:
        page: the text of the page, which contains `BEGIN` and `END` once each.
        schema: the schema of the configuration.
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables(schema)}{END}{after}"


def tables(schema: dict[str, Any]) -> str:
    """Return a table for each section with a row for each key: type and bounds, default, description."""
    text = ""
    for section, part in with_words(schema)["properties"].items():
        text += f"\n### {section}\n\n{part['description']}\n\n{_HEAD}"
        for name, key in _keys(part, section):
            default = _code(json.dumps(key["default"], ensure_ascii=False)) if "default" in key else ""
            cells = (_code(name), _value(key), default, key["description"])
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return text + "\n"


def _keys(part: dict[str, Any], above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the full name and the schema of each key below a part of the schema; NAME is the name of a row."""
    row = part.get("additionalProperties")
    if isinstance(row, dict):
        yield from _keys(row, f"{above}.NAME")
    for name, key in part.get("properties", {}).items():
        yield f"{above}.{name}", key
        yield from _keys(key, f"{above}.{name}")
        if "entries" in key:
            yield from _options(key["entries"], f"{above}.{name}")


def _options(folder: str, above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the full name and the schema of each option of each entry of a registry."""
    place = ROOT / "scripts/cbir" / folder
    for word in words(place):
        for name, option in (options(path(place, word)) or {}).items():
            yield f"{above}: {word}: {name}", option


_HEAD = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n"


def _code(text: str) -> str:
    return f"`{text}`"


def _value(key: dict[str, Any]) -> str:
    """Return the values that a key accepts as text."""
    if "enum" in key:
        return ", ".join(_code(json.dumps(word) if word is None else str(word)) for word in key["enum"])
    if "prefixes" in key:
        return ", ".join(_code(f"{prefix}...") for prefix in key["prefixes"])
    if "anyOf" in key:
        return ", ".join(map(_value, key["anyOf"]))
    kinds = [key["type"]] if isinstance(key.get("type"), str) else list(key.get("type", []))
    words = " or ".join(_KINDS[kind] for kind in kinds)
    if key.get("format") == "path":
        words = words.replace("text", "path")
    bounds = [
        f"{name} {_code(str(key[keyword]))}"
        for keyword, name in _BOUNDS.items()
        if keyword in key and (keyword, key[keyword]) != _ANY
    ]
    if isinstance(key.get("items"), dict):
        words += f" of: {_value(key['items'])}"
    return ", ".join([words, *bounds])


_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "array": "list",
    "object": "keys",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "minItems": "entries: at least",
    "maxItems": "entries: at most",
    "minLength": "characters: at least",
    "pattern": "like",
}
_ANY = ("minLength", 1)


if __name__ == "__main__":
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        sys.exit(f"{PAGE} lacks one of the marks {BEGIN.strip()} and {END.strip()}: put both where the table belongs.")
    write_text(PAGE, document(page, schema))
