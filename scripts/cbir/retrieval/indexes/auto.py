"""The FAISS index that suits the size of the gallery and fits the memory: flat, HNSW or IVF-PQ."""

from typing import Any

from numpy.typing import NDArray

from cbir.retrieval.indexes import _faiss

LABEL = "index chosen by size"
SUFFIX = _faiss.SUFFIX
APPROXIMATE = True

save, open = _faiss.save, _faiss.open
candidates, efforts = _faiss.candidates, _faiss.efforts
describe, versions = _faiss.describe, _faiss.versions


def build(features: NDArray[Any], *, memory_mb: int, ef_construction: int, kept: _faiss.Kept | None = None) -> Any:
    """Return an index of at most ``memory_mb`` megabytes, if one fits; see `_faiss.choose`."""
    kind, size = _faiss.choose(len(features), features.shape[1], memory_mb * 10**6)
    if kind == "flat":
        return _faiss.flat(features)
    if kind == "hnsw":
        return _faiss.hnsw(features, size, ef_construction, kept)
    return _faiss.ivf_pq(features, None, size, kept)
