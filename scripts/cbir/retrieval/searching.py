"""Open a method's gallery, and the index that searches it, from the results of a run."""

from cbir.features.store import FeatureStore
from cbir.results import INDEX_ABOUT, INDEX_QUALITY, Results
from cbir.retrieval import index
from cbir.retrieval.index import Index
from cbir.retrieval.indexes import REGISTRY, is_approximate


def searched(results: Results, method: str) -> tuple[FeatureStore, Index | None]:
    """Return a method's gallery, and its index if that is an approximate one; otherwise None for exact search.

    Approximate indexes are for large galleries: the vectors are memory-mapped, and a search reads only the rows that it
    compares. Any other gallery is loaded into memory, where exact search is as fast as a KD-tree.

    Raises:
        InputError: when a file is missing or damaged, or the index was built over another gallery.
    """
    side = results.path(INDEX_ABOUT, method=method)
    kind = results.json(INDEX_ABOUT, method=method).get("kind") if side.is_file() else None
    if kind not in set(REGISTRY) or not is_approximate(str(kind)):
        return results.store(method, results.gallery), None
    gallery = results.store(method, results.gallery, mapped=True)
    return gallery, index.read(side, gallery, results.path(INDEX_QUALITY, approximate=method))
