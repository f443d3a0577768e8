"""An HNSW graph by FAISS: fast, with high recall; it takes somewhat more memory than the vectors."""

from typing import Any

from numpy.typing import NDArray

from cbir.retrieval.indexes import _faiss

LABEL = "HNSW graph"
SUFFIX = _faiss.SUFFIX
APPROXIMATE = True

save, open = _faiss.save, _faiss.open
candidates, efforts = _faiss.candidates, _faiss.efforts
describe, versions = _faiss.describe, _faiss.versions


def build(features: NDArray[Any], *, links: int, ef_construction: int, kept: _faiss.Kept | None = None) -> Any:
    """Return the graph; see `_faiss.hnsw` for the options."""
    return _faiss.hnsw(features, links, ef_construction, kept)
