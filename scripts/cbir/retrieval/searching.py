"""The gallery of a method in a finished run, and what searches it."""

from cbir.features.store import FeatureStore
from cbir.results import INDEX_ABOUT, INDEX_QUALITY, Results
from cbir.retrieval import index
from cbir.retrieval.index import Index
from cbir.retrieval.indexes import REGISTRY, is_approximate


def searched(results: Results, method: str) -> tuple[FeatureStore, Index | None]:
    """Return a method's gallery and its index, if that is an approximate one, for large galleries.

    With an approximate index the vectors stay in their file, and the search reads the rows that it compares. Any other
    gallery is in memory, and exact search takes no longer than its index.

    Raises:
        InputError: when a file is missing or damaged, or the index is of another gallery.
    """
    side = results.path(INDEX_ABOUT, method=method)
    kind = results.json(INDEX_ABOUT, method=method).get("kind") if side.is_file() else None
    if kind not in set(REGISTRY) or not is_approximate(str(kind)):
        return results.store(method, results.gallery), None
    gallery = results.store(method, results.gallery, mapped=True)
    return gallery, index.read(side, gallery, results.path(INDEX_QUALITY, approximate=method))
