"""Registries: a folder a kind, a file an entry, named as the word that the configuration uses."""

import ast
import csv
import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cbir.files.errors import InputError
from cbir.files.options import Stated

_TABLE = ".words.csv"


class Registry(Mapping[str, Any]):
    """The entries of a package, by name; an entry is imported when it is looked up, and only then.

    A word of the configuration such as ``minmax-per-feature`` names the file ``minmax_per_feature.py``. Files that
    begin with an underscore are helpers and no entries. Because entries are imported by name, the code hash of a rule
    (see `cbir.workflow.code_hash`) covers an entry only if the configuration of that rule names it.

    A file may also hold a family of entries. Then a table of its name lies beside it, such as
    ``applications.words.csv``: its column ``word`` lists the words of the family, further columns are the family's own.
    A word that ends in a colon is a prefix: ``file:`` admits ``file:`` and any text after it. The module of a family
    defines ``entry(word)``, which returns an object with what a module of a single entry defines.

    Args:
        package: dotted name of the package, its ``__name__``.
        folder: where the package lies, its ``__path__[0]``.
        kind: what an entry is called in messages, such as ``loss``.
        common: the options that every entry has before those of its ``OPTIONS``, with their JSON schemas.
    """

    def __init__(self, package: str, folder: str, kind: str, common: Stated | None = None) -> None:
        self.package, self.folder, self.kind, self.common = package, Path(folder), kind, common or {}

    @cached_property
    def _modules(self) -> dict[str, str]:
        """The module of each word. The folder is read once: Snakemake looks up every architecture as it starts."""
        return _modules(self.folder)

    def __getitem__(self, name: str) -> Any:
        """Return an entry: its module, or what the module of its family returns.

        Raises:
            KeyError: when there is none of this name; `get_entry` raises a sentence for a person instead.
        """
        module = self._modules.get(_word(name))
        if module is None or name.endswith(":"):
            raise KeyError(name)
        found = importlib.import_module(f"{self.package}.{module}")
        return found.entry(name) if _is_family(self.folder / f"{module}.py") else found

    def __iter__(self) -> Iterator[str]:
        """Yield the names in alphabetical order, without importing anything; those of a prefix are without number."""
        return (word for word in sorted(self._modules) if not word.endswith(":"))

    def __len__(self) -> int:
        """Return how many entries there are, not counting those of a prefix."""
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an entry of this name, without importing anything."""
        return isinstance(name, str) and _word(name) in self._modules and not name.endswith(":")

    def get_entry(self, name: str) -> Any:
        """Return an entry, as ``[]`` does.

        Raises:
            InputError: when there is none of this name.
        """
        self._require(name)
        return self[name]

    def _require(self, name: str) -> None:
        if name not in self:
            known = ", ".join(f"{word}..." if word.endswith(":") else word for word in sorted(self._modules))
            raise InputError(f"The {self.kind} {name!r} does not exist: use one of {known}.")

    def options(self, name: str) -> dict[str, Any] | None:
        """Return the literal ``OPTIONS`` of an entry, read without importing it; None if it has none.

        Raises:
            InputError: when there is no entry of this name.
            ValueError: when ``OPTIONS`` is no literal.
        """
        self._require(name)
        return options(self.path(name))

    def path(self, name: str) -> Path:
        """Return the file of an entry, which the code hash of a rule that uses it covers."""
        return path(self.folder, name)


def words(folder: Path) -> list[str]:
    """Return the words of the entries in the folder of a registry, in alphabetical order, without importing anything.

    Raises:
        FileNotFoundError: when there is no such folder.
    """
    return sorted(_modules(folder))


def path(folder: Path, name: str) -> Path:
    """Return the file of an entry in the folder of a registry.

    Raises:
        KeyError: when there is no entry of this name.
    """
    return folder / f"{_modules(folder)[_word(name)]}.py"


def table(module: str | Path) -> list[dict[str, str]]:
    """Return the rows of the table beside the file of a family."""
    with Path(module).with_suffix(_TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _modules(folder: Path) -> dict[str, str]:
    """Return the name of the module that defines each word."""
    found = {}
    for file in folder.iterdir():
        if file.suffix == ".py" and not file.stem.startswith("_"):
            own = [row["word"] for row in table(file)] if _is_family(file) else [file.stem.replace("_", "-")]
            found.update(dict.fromkeys(own, file.stem))
    return found


def _is_family(file: Path) -> bool:
    return file.with_suffix(_TABLE).is_file()


def _word(name: str) -> str:
    """Return the word that stands for a name in the list of words: itself, or its prefix."""
    prefix, colon, _ = name.partition(":")
    return prefix + colon


def options(entry: Path) -> dict[str, Any] | None:
    """Return the literal ``OPTIONS`` of the file of an entry, read without importing it; None if it has none.

    Raises:
        ValueError: when ``OPTIONS`` is no literal.
    """
    for node in ast.parse(entry.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "OPTIONS" for target in targets):
            found: dict[str, Any] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            return found
    return None
