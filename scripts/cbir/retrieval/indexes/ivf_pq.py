"""An inverted file with product quantisation (IVF-PQ) by FAISS: a tenth of the memory of the vectors, or less."""

from typing import Any

from numpy.typing import NDArray

from cbir.retrieval.indexes import _faiss

LABEL = "inverted file (IVF-PQ)"
SUFFIX = _faiss.SUFFIX
APPROXIMATE = True

save, open = _faiss.save, _faiss.open
candidates, efforts = _faiss.candidates, _faiss.efforts
describe, versions = _faiss.describe, _faiss.versions


def build(features: NDArray[Any], *, lists: int | None, code_bytes: int | None, kept: _faiss.Kept | None = None) -> Any:
    """Return the inverted file; None chooses the number of lists or the bytes of a code by the gallery's size."""
    return _faiss.ivf_pq(features, lists, code_bytes, kept)
