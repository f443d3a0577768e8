"""Index kinds: data structures that find the nearest images of the gallery.

A kind is a module of this package. Its file is named as the word that ``index.kind`` of the configuration uses. It is
imported while the workflow is planned, so it imports large libraries inside its functions. It defines:

``LABEL`` (str)
    Its name in messages.

``SUFFIX`` (str)
    The suffix, with its dot, of the file that it writes beside ``index/{method}.json``; ``""`` if it writes none.

``build(features, **options)``
    Returns the index, any object, over the gallery's ``features`` (n, d) float32 or float64. Row i of the index is row
    i of the features. Options are keyword arguments, named as the keys of ``index`` in the configuration; setting a key
    that it does not take is an error.

``save(index, path)``
    Writes the index to the file ``path``. The same features give the same bytes. Not needed without a ``SUFFIX``.

``open(path, features, about)``
    Returns the index as ``build`` does, from the file that ``save`` wrote and the gallery's features. ``about`` is the
    side file's content: the options, versions and ``file_sha256``. The caller has checked that the file has this hash
    and was built over these features. It raises InputError, naming the file and the remedy, when the file cannot be
    used. It must not run code from the file, so it unpickles nothing.

``search(index, queries, k)``
    Returns the Euclidean distances (q, k) float64 and rows (q, k) int64 of the k nearest of each of ``queries`` (q, d),
    nearest first; k is at most n. The evaluation checks them against the exact search.

``build`` of a kind may also take ``kept``, a file in which it keeps a part of a large index, so that a build that was
killed goes on; see `hnsw`.

An approximate kind may miss some of the nearest. It sets ``APPROXIMATE = True`` and, in place of ``search``, defines:

``candidates(index, queries, k, effort)``
    Returns gallery rows (q, k or more) int64 for each of ``queries`` (q, d) float32, padded with -1 where it found
    fewer. The caller ranks these rows by exact distances and returns the k nearest.

``efforts(index)``
    Returns the values of its search parameter, ascending: a higher one has a higher recall and takes longer. The lowest
    that reaches ``index.recall`` is used, see `cbir.retrieval.quality`.

``describe(index)``
    Returns plain data for the side file in addition to the options: ``parameter``, the name of the search parameter,
    and the sizes chosen. The same features give the same values.

``versions()`` (optional)
    Returns the versions of further libraries; an index that others built is not kept when the gallery changes.

Its file stays as it was built while few rows of the gallery change (see `cbir.retrieval.changes`). So ``candidates``
returns rows of the features that ``build`` got, and ``open`` gets the features of today: the file must have
``about["built_rows"]`` rows.
"""

import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cbir.files.errors import InputError
from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "index kind")

# Keys of ``index`` that choose the kind of each method; the other keys are options of a kind.
_CHOOSING = ("kind", "methods")
# Keys that every approximate kind takes, in addition to its options.
_APPROXIMATE = ("recall", "max_changed")


def is_approximate(kind: str) -> bool:
    """Return whether a kind may miss some of the nearest."""
    return getattr(REGISTRY.get_entry(kind), "APPROXIMATE", False)


def options(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the configuration's settings that the ``build`` of a kind takes.

    Args:
        kind: an entry.
        settings: the keys of ``index``, complete.

    Raises:
        InputError: when there is no such kind.
    """
    return {name: settings[name] for name in _taken(kind) if name in settings}


def of_methods(
    settings: Mapping[str, Any], given: Mapping[str, Any], methods: Iterable[str]
) -> dict[str, tuple[str, dict[str, Any], float, float]]:
    """Return the kind of index of each method, its options and the settings that every approximate kind has.

    Args:
        settings: ``index`` of the configuration, with defaults. A row of its ``methods`` overrides keys for a method.
        given: the part of it that the user set.
        methods: the names of all methods.

    Returns:
        For each method its kind, the options of that kind, the recall that its search must reach, and the share of its
        rows that may change before it is built anew: 1 and 0 if it is exact.

    Raises:
        InputError: when the user set an option for a method that its kind does not take, or one for all methods that
            none of their kinds takes.
    """
    rows = settings.get("methods", {})
    asked = {method: {**settings, **rows.get(method, {})} for method in methods}
    _require_taken("index", given, {row["kind"] for row in asked.values()})
    for method, row in rows.items():
        _require_taken(f"index.methods.{method}", row, [asked[method]["kind"]])
    return {
        method: (
            row["kind"],
            options(row["kind"], row),
            row["recall"] if is_approximate(row["kind"]) else 1.0,
            row["max_changed"] if is_approximate(row["kind"]) else 0.0,
        )
        for method, row in asked.items()
    }


def _require_taken(key: str, given: Collection[str], kinds: Collection[str]) -> None:
    """Raise InputError for an option in ``given`` that none of ``kinds`` takes."""
    for name in given:
        if name not in _CHOOSING and not any(
            name in _taken(kind) or (name in _APPROXIMATE and is_approximate(kind)) for kind in kinds
        ):
            asked = " and ".join(sorted(kinds))
            raise InputError(f"config: {key}.{name} is set, but index.kind {asked} does not take it: take it out.")


def _taken(kind: str) -> list[str]:
    return list(inspect.signature(REGISTRY.get_entry(kind).build).parameters)[1:]
