"""Sources: where the images of a collection come from. A file an entry.

An entry, named as ``collection.source``, defines:

``DESCRIPTION``
    A sentence for the report. It may contain keys of the section ``collection`` in braces, such as ``{dataset}``.
``SETTINGS``
    A tuple of the keys of the section ``collection`` that decide what is fetched. Other values there fetch the same.
``fetch(folder: Path, settings: Mapping[str, Any]) -> pd.DataFrame``
    Writes the images as ``<folder>/<category>/<filename>``; ``settings`` are the ``SETTINGS`` with their values.
    Returns a row a picture with at least ``file`` (category/filename), ``author``, ``licence`` and ``source`` (where
    the original is published). Raises `InputError` when the images cannot be had.

A source whose images lie on this machine already, at ``collection.path``, defines instead of it:

``require(settings) -> None``
    Raises `InputError` when there is nothing at the path.
``contents(settings, memory: Path) -> str``
    A hash of everything there. ``memory`` is a file in which hashes are remembered. ``settings`` is the whole section.
``read(path, labelled: bool) -> Mapping[str, Mapping[str, str]]``
    Only where folders do not say it: what is known of each image, see `manifest.Rows`. Unless ``labelled``, the images
    have no categories.

Packages that take long to load are imported inside ``fetch``, because the workflow asks each run for the other two.
Files beside an entry that are named as it is, such as ``sample.csv``, count as its code.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "source of images")

INSTEAD = "write `collection: {source: digits}` or `collection: {source: folder, path: DIR}` in the config instead"
"""The remedy when a source cannot be reached from this machine."""
