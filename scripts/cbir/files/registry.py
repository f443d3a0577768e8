"""Registries: a folder a kind, a file an entry, named as the word that the configuration uses."""

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cbir.files.errors import InputError


class Registry(Mapping[str, Any]):
    """The entries of a package, by name; an entry is imported when it is looked up, and only then.

    A word of the configuration such as ``minmax-per-feature`` names the file ``minmax_per_feature.py``. Files that
    begin with an underscore are helpers and no entries. Because entries are imported by name, the code hash of a rule
    (see `cbir.workflow.code_hash`) covers an entry only if the configuration of that rule names it.

    Args:
        package: dotted name of the package, its ``__name__``.
        folder: where the package lies, its ``__path__[0]``.
        kind: what an entry is called in messages, such as ``loss``.
    """

    def __init__(self, package: str, folder: str, kind: str) -> None:
        self.package, self.folder, self.kind = package, Path(folder), kind

    def __getitem__(self, name: str) -> Any:
        """Return the module of an entry.

        Raises:
            KeyError: when there is none of this name; `get_entry` raises a sentence for a person instead.
        """
        if name not in set(self):
            raise KeyError(name)
        return importlib.import_module(f"{self.package}.{_module(name)}")

    def __iter__(self) -> Iterator[str]:
        """Yield the names in alphabetical order, without importing anything."""
        return iter(words(self.folder))

    def __len__(self) -> int:
        """Return how many entries there are."""
        return sum(1 for _ in self)

    def get_entry(self, name: str) -> Any:
        """Return the module of an entry.

        Raises:
            InputError: when there is none of this name.
        """
        self._require(name)
        return self[name]

    def _require(self, name: str) -> None:
        if name not in set(self):
            raise InputError(f"The {self.kind} {name!r} does not exist: use one of {', '.join(self)}.")

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
        return self.folder / f"{_module(name)}.py"


def words(folder: Path) -> list[str]:
    """Return the names of the entries in the folder of a registry, in alphabetical order, without importing anything.

    Raises:
        FileNotFoundError: when there is no such folder.
    """
    return sorted(
        path.stem.replace("_", "-")
        for path in folder.iterdir()
        if path.suffix == ".py" and not path.stem.startswith("_")
    )


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


def _module(name: str) -> str:
    return name.replace("-", "_")
