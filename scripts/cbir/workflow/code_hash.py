"""A content hash of a script and the library modules it uses, so that a changed function reruns what depends on it."""

import ast
import hashlib
from functools import cache
from pathlib import Path

NOT_COVERED = frozenset(
    {
        # Which error is raised decides whether there is an output, and its sentence goes to the log. The rule `collect`
        # writes sentences into rejected.csv and names this module as an entry, which is always covered.
        "cbir/files/errors.py",
        # These write log lines.
        "cbir/files/logs.py",
        "cbir/files/progress.py",
        # A file appears whole under its final name. What is in it was written by the caller.
        "cbir/files/atomic.py",
        # Finds the file of an entry by its name. The file itself is covered where the configuration names it.
        "cbir/files/registry.py",
        # Runs a script's work and reports its errors; holds the working folder meanwhile.
        "cbir/workflow/job.py",
        "cbir/workflow/lock.py",
        # Decides what runs again, and not what comes out of it.
        "cbir/workflow/code_hash.py",
        # The same modules are imported, faster.
        "cbir/encoders/loading.py",
    }
)
"""Modules that cannot change a byte of a rule's output, relative to the folder that imports are resolved in.

An edit in one of them reruns nothing. A module belongs here only if that holds for every edit that leaves the workflow
correct. `cbir.files.threads` and `cbir.encoders.devices` do not: the size of a block and the device that computes it
decide the last bits of a sum. Neither do `cbir.files.tables` and `cbir.files.hdf5`, which decide how numbers are
written.
"""


@cache
def fingerprint(script: Path, root: Path, entries: tuple[Path, ...] = ()) -> str:
    """Hash a Python file together with all modules below ``root`` that it imports, directly or not.

    Comments, docstrings and layout do not count: what is hashed is the syntax tree. Modules of `NOT_COVERED`, and what
    only they import, do not count either.

    Args:
        script: the file.
        root: the folder that imports are resolved in.
        entries: further files that the script imports by name, the entries of registries that the configuration names.
            They count even if `NOT_COVERED` lists them.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in sorted(set().union(*(_closure(file, root) for file in (script, *entries)))):
        digest.update(f"{path.relative_to(root)}\n{_tree(path)[0]}\n".encode())
    return digest.hexdigest()


def _closure(script: Path, root: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path, root)
    return found


@cache
def _imported(path: Path, root: Path) -> set[Path]:
    """Return the files below ``root`` that a file imports itself."""
    files = {file for name in set(_tree(path)[1]) for file in _files(_absolute(name, path, root), root)}
    return {file for file in files if file.relative_to(root).as_posix() not in NOT_COVERED}


@cache
def _tree(path: Path) -> tuple[str, tuple[str, ...]]:
    return parse(path.read_text(encoding="utf-8"))


@cache
def parse(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the syntax tree of a Python file as text, docstrings removed, and the dotted names that it imports.

    A relative import keeps its leading dots.
    """
    tree = ast.parse(text)
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            separator = "" if module.endswith(".") else "."
            names += [module, *(f"{module}{separator}{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return ast.dump(tree), tuple(names)


def _is_text(statement: ast.stmt) -> bool:
    """Tell whether a statement is a docstring, of a module, a function, a class or a constant above it."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _absolute(name: str, path: Path, root: Path) -> str:
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    package = path.relative_to(root).parts[:-level]
    return ".".join([*package, *filter(None, [name[level:]])])


@cache
def _files(name: str, root: Path) -> list[Path]:
    """Return the files of a dotted name: the module, and the ``__init__`` of every package above it."""
    parts = name.split(".")
    packages = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, root.joinpath(*parts).with_suffix(".py")] if path.is_file()]
