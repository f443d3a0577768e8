"""Index kinds: what finds the nearest images of the gallery.

A kind is a module of this package. Its file is named as the word that ``index.kind`` of the configuration uses. It is
imported while the workflow is planned, so it imports large libraries within its functions. It defines:

``LABEL`` (str)
    What messages call it.

``SUFFIX`` (str)
    The ending of the file that it needs beside ``index/{method}.json``, with its dot; ``""`` if it needs none.

``build(features, **options)``
    Returns the index, any object, over the gallery's ``features`` (n, d) float32 or float64. Row i of the index is row
    i of the features. Options are keyword arguments, named as the keys of ``index`` in the configuration; setting a key
    that it does not take is an error.

``save(index, path)``
    Writes the index to the file ``path``. The same features give the same bytes. Not needed without a ``SUFFIX``.

``open(path, features, about)``
    Returns the index as ``build`` does, from the file that ``save`` wrote and the gallery's features. ``about`` is the
    side file's content: the options, versions and ``file_sha256``. The file has been found to have this hash and to be
    of these features. It raises InputError, naming the file and the remedy, when the file cannot be used. It runs no
    code from the file: nothing is unpickled.

``search(index, queries, k)``
    Returns the Euclidean distances (q, k) float64 and rows (q, k) int64 of the k nearest of each of ``queries`` (q, d),
    nearest first; k is at most n. The evaluation compares them with the exact search.
"""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from cbir.files.errors import InputError
from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "index kind")


def options(kind: str, settings: Mapping[str, Any], given: Collection[str] = ()) -> dict[str, Any]:
    """Return those of the configuration's settings that a kind of index takes.

    Args:
        kind: an entry.
        settings: the keys of ``index``, complete.
        given: the keys that a person set; the others have their defaults.

    Raises:
        InputError: when there is no such kind, or it does not take an option that a person set.
    """
    taken = ["kind", *list(inspect.signature(REGISTRY.get_entry(kind).build).parameters)[1:]]
    for name in given:
        if name not in taken:
            raise InputError(f"config: index.{name} is set, but index.kind {kind} does not take it: take it out.")
    return {name: settings[name] for name in taken[1:] if name in settings}
