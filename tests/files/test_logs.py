"""Log lines with any characters in names; `test_job` tests those of a whole job."""

import ast
import logging
from pathlib import Path

import pytest

from cbir.files import logs

SCRIPTS = Path(logs.__file__).parents[2]
# Functions that would log in another format.
HANDLERS = {"Formatter", "StreamHandler", "FileHandler"}


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nERROR b", "a\rERROR b", "\u202ea", "\u2028a", "\udcff", "\0"])
def test_a_message_is_one_printable_line(tmp_path: Path, name: str) -> None:
    handler = logs.handler(tmp_path / "a.log", "%(levelname)s %(message)s")
    handler.emit(logging.LogRecord("cbir", logging.INFO, "", 1, "from %s on", (name,), None))
    handler.close()
    line = (tmp_path / "a.log").read_bytes().decode()
    assert line.endswith(" on\n") and line[:-1].isprintable()
    assert line.startswith("INFO from ") and name not in line


def test_text_of_any_language_stays_as_it_is(tmp_path: Path) -> None:
    handler = logs.handler(tmp_path / "a.log", "%(message)s")
    handler.emit(logging.LogRecord("cbir", logging.INFO, "", 1, "Bücher/漢字 1.png", (), None))
    handler.close()
    assert (tmp_path / "a.log").read_text(encoding="utf-8") == "Bücher/漢字 1.png\n"


def test_every_program_logs_with_this_handler() -> None:
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or path.name == "logs.py":
                continue
            owner, _, called = ast.unparse(node.func).rpartition(".")
            # string.Formatter formats texts.
            assert called not in HANDLERS or owner == "string", path
            if called == "basicConfig":
                assert "handlers=[logs.handler(" in ast.unparse(node), path
