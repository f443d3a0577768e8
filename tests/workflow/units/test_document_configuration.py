"""The tables of docs/configuration.md are those of the schema."""

import copy

import yaml

import document_configuration as module

SCHEMA = yaml.safe_load(module.SCHEMA.read_text(encoding="utf-8"))
PAGE = module.PAGE.read_text(encoding="utf-8")


def test_the_page_agrees_with_the_schema() -> None:
    written = "run .venv/bin/python scripts/document_configuration.py and commit docs/configuration.md"
    assert module.document(PAGE, SCHEMA) == PAGE, written


def test_a_key_has_a_row_with_its_bounds_and_its_default() -> None:
    row = "| `comparison.resamples` | whole number, at least `99`, at most `1000000` | `9999` | Number of"
    assert row in PAGE
    assert "| `collection.path` | path or null | `null` | For source folder, the folder with" in PAGE
    assert "| `queries.choose` | list of: `best`, `middling`, `worst` | `[" in PAGE
    assert "| `encoders.NAME.training.augment.crop` | number, at least `0`, below `1` | `0.3` |" in PAGE


def test_a_changed_default_or_a_new_key_changes_the_page() -> None:
    for change in ({"default": 4}, {"description": "Another."}, {"maximum": 9}):
        schema = copy.deepcopy(SCHEMA)
        schema["properties"]["evaluation"]["properties"]["k"] |= change
        assert module.document(PAGE, schema) != PAGE
    schema = copy.deepcopy(SCHEMA)
    schema["properties"]["report"]["properties"]["logo"] = {"description": "A | B.", "type": ["string", "null"]}
    assert "| `report.logo` | text or null |  | A \\| B. |\n" in module.document(PAGE, schema)


def test_text_around_the_tables_stays() -> None:
    before, after = "# Title\n", "\n## After\n"
    page = f"{before}{module.BEGIN}stale{module.END}{after}"
    found = module.document(page, SCHEMA)
    assert found.startswith(before + module.BEGIN)
    assert found.endswith(module.END + after)
    assert "stale" not in found
