"""Registries: packages whose modules are the choices of a configuration key, such as losses or metrics."""

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
    """A mapping from the names of entries to their modules, which are imported when they are looked up.

    The word ``minmax-per-feature`` of the configuration names the module ``minmax_per_feature.py``. Modules whose name
    begins with an underscore are helpers and not entries. Because entries are imported dynamically, the code hash of a
    rule (see `cbir.workflow.code_hash`) covers only those that the configuration names for it.

    A module may also define a family of entries. Then a table with its name, such as ``applications.words.csv``, lists
    the words of the family in the column ``word``; the family may use further columns. A word that ends in a colon is
    a prefix: ``file:`` accepts ``file:`` followed by any text. The module of a family defines ``entry(word)``, which
    returns an object with the attributes of a single entry's module.

    Args:
        package: dotted name of the package, its ``__name__``.
        folder: folder of the package, its ``__path__[0]``.
        kind: name of an entry in messages, such as ``loss``.
        common: the options that every entry has, before those of its ``OPTIONS``, with their JSON schemas.
    """

    def __init__(self, package: str, folder: str, kind: str, common: Stated | None = None) -> None:
        self.package, self.folder, self.kind, self.common = package, Path(folder), kind, common or {}

    @cached_property
    def _modules(self) -> dict[str, str]:
        """The module of each word. It is cached, because Snakemake looks up every architecture when it starts."""
        return _modules(self.folder)

    def __getitem__(self, name: str) -> Any:
        """Return an entry: its module, or the object that the module of its family returns.

        Raises:
            KeyError: when there is no such entry; `get_entry` raises an InputError instead.
        """
        module = self._modules.get(_word(name))
        if module is None or name.endswith(":"):
            raise KeyError(name)
        found = importlib.import_module(f"{self.package}.{module}")
        return found.entry(name) if _is_family(self.folder / f"{module}.py") else found

    def __iter__(self) -> Iterator[str]:
        """Yield the names in alphabetical order, without prefixes; nothing is imported."""
        return (word for word in sorted(self._modules) if not word.endswith(":"))

    def __len__(self) -> int:
        """Return the number of entries, without prefixes."""
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry with this name; nothing is imported."""
        return isinstance(name, str) and _word(name) in self._modules and not name.endswith(":")

    def get_entry(self, name: str) -> Any:
        """Return an entry, as ``[]`` does.

        Raises:
            InputError: when there is no such entry.
        """
        self._require(name)
        return self[name]

    def _require(self, name: str) -> None:
        if name not in self:
            known = ", ".join(f"{word}..." if word.endswith(":") else word for word in sorted(self._modules))
            raise InputError(f"The {self.kind} {name!r} does not exist: use one of {known}.")

    def options(self, name: str) -> dict[str, Any] | None:
        """Return the literal ``OPTIONS`` of an entry without importing it; None if the entry does not define it.

        Raises:
            InputError: when there is no such entry.
            ValueError: when ``OPTIONS`` is not a literal.
        """
        self._require(name)
        return options(self.path(name))

    def path(self, name: str) -> Path:
        """Return the file of an entry."""
        return path(self.folder, name)


def words(folder: Path) -> list[str]:
    """Return the words of a registry in alphabetical order, including prefixes; nothing is imported.

    Raises:
        FileNotFoundError: when there is no such folder.
    """
    return sorted(_modules(folder))


def path(folder: Path, name: str) -> Path:
    """Return the file of an entry in the folder of a registry.

    Raises:
        KeyError: when there is no such entry.
    """
    return folder / f"{_modules(folder)[_word(name)]}.py"


def table(module: str | Path) -> list[dict[str, str]]:
    """Return the rows of the table of a family."""
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
    """Return the word of the registry that accepts a name: its prefix with the colon, or the name itself."""
    prefix, colon, _ = name.partition(":")
    return prefix + colon


def options(entry: Path) -> dict[str, Any] | None:
    """Return the literal ``OPTIONS`` in the file of an entry without importing it; None if the file has none.

    Raises:
        ValueError: when ``OPTIONS`` is not a literal.
    """
    for node in ast.parse(entry.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "OPTIONS" for target in targets):
            found: dict[str, Any] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            return found
    return None
