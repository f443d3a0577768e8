"""A hash of a script and the library modules that it imports, so that changed code reruns the jobs that use it."""

import ast
import hashlib
from functools import cache
from pathlib import Path

NOT_COVERED = frozenset(
    {
        # Defines the exception whose message goes to the log. Only the rule `collect` writes such messages to an
        # output, rejected.csv. It names this module as an entry, and entries are always covered.
        "cbir/files/errors.py",
        # They write log lines.
        "cbir/files/logs.py",
        "cbir/files/progress.py",
        # Moves a file to its final path. Its content is written by the caller.
        "cbir/files/atomic.py",
        # Finds the modules of entries. Those that the configuration names are covered as entries.
        "cbir/files/registry.py",
        # Run a script, report its errors and lock the working folder.
        "cbir/workflow/job.py",
        "cbir/workflow/lock.py",
        # Decides which jobs run, not what they write.
        "cbir/workflow/code_hash.py",
        # Makes imports of Keras and TensorFlow faster.
        "cbir/encoders/loading.py",
    }
)
"""Modules that cannot change the outputs of rules, relative to the folder of the library; edits in them rerun nothing.

A module may be listed only if no correct edit of it changes an output. Counter-examples: `cbir.files.threads` and
`cbir.encoders.devices` choose the size of blocks and the device, which affect the rounding of sums;
`cbir.files.tables` and `cbir.files.hdf5` define how numbers are written.
"""


@cache
def fingerprint(script: Path, root: Path, entries: tuple[Path, ...] = ()) -> str:
    """Return the hash of a Python file and all modules below ``root`` that it imports, directly or indirectly.

    It is computed from the syntax trees without docstrings, so comments and layout do not change it, and it is the same
    with every supported Python version. It does not cover the modules in `NOT_COVERED` and modules that only they
    import.

    Args:
        script: the file.
        root: the folder from which the modules are imported.
        entries: further files that the script imports dynamically: the entries of registries that the configuration
            names. They are covered even if they are in `NOT_COVERED`.

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
    """Return the files below ``root`` that a file imports directly, without `NOT_COVERED`."""
    files = {file for name in set(_tree(path)[1]) for file in _files(_absolute(name, path, root), root)}
    return {file for file in files if file.relative_to(root).as_posix() not in NOT_COVERED}


@cache
def _tree(path: Path) -> tuple[str, tuple[str, ...]]:
    return parse(path.read_text(encoding="utf-8"))


@cache
def parse(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a file's syntax tree without docstrings as text, and the dotted names that it imports.

    Names of relative imports keep their leading dots.
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
        elif isinstance(node, ast.JoinedStr):  # Python 3.12.1 adds empty strings to nested format specifiers.
            node.values = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]
    return _written(tree), tuple(names)


def _written(value: object) -> str:
    """Return a syntax tree as text. `ast.dump` is not used, because its output depends on the Python version."""
    if isinstance(value, ast.AST):
        fields = [f"{name}={_written(field)}" for name, field in ast.iter_fields(value) if field not in (None, [])]
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)


def _is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is a docstring of a module, class or function, or of the constant above it."""
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
    """Return the files of a dotted name: its module, and the ``__init__.py`` of each of its packages."""
    parts = name.split(".")
    packages = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, root.joinpath(*parts).with_suffix(".py")] if path.is_file()]
