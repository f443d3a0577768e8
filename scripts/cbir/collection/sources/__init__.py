"""Sources: where the images of a collection come from. A file an entry.

An entry, named as ``collection.source``, defines:

``DESCRIPTION``
    A sentence for the report. It may contain keys of the section ``collection`` in braces, such as ``{dataset}``.
``SETTINGS``
    A tuple of the keys of the section ``collection`` that decide what is fetched. If one of them changes, the images
    are fetched again.
``fetch(folder: Path, settings: Mapping[str, Any]) -> pd.DataFrame``
    Writes the images as ``<folder>/<category>/<filename>``; ``settings`` are the ``SETTINGS`` with their values.
    Returns a row for each image with at least ``file`` (category/filename), ``author``, ``licence`` and ``source``
    (where the original is published). Raises `InputError` when the images cannot be obtained.

A source whose images are already on this machine, at ``collection.path``, defines these functions instead of ``fetch``:

``require(settings) -> None``
    Raises `InputError` when there is nothing at the path.
``contents(settings, memory: Path) -> str``
    Returns a hash of all files of the collection. ``memory`` is a file that caches the hashes of single files.
    ``settings`` is the whole section ``collection``.
``read(path, labelled: bool) -> Mapping[str, Mapping[str, str]]``
    Only if categories come from a file and not from folders: returns the columns of each image, see `manifest.Rows`.
    Unless ``labelled``, the images have no categories.

Packages that are slow to import are imported inside ``fetch``, because each run of the workflow imports the entry.
Data files beside an entry with its name, such as ``sample.csv``, count as its code.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "source of images")

INSTEAD = "write `collection: {source: digits}` or `collection: {source: folder, path: DIR}` in the config instead"
"""The last part of messages when the images of a source cannot be obtained."""
