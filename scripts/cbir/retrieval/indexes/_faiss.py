"""Shared code of the index kinds that use FAISS (Douze et al., 2024, arXiv:2401.08281): files, search, sizes.

Files are in FAISS's own format and can be opened by ``faiss.read_index``. FAISS is imported inside functions, because
it is an optional dependency.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.files import threads
from cbir.files.atomic import atomic
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json

SUFFIX = ".faiss"

FEWEST_ROWS = 10_000
"""With fewer rows `auto` builds a flat index, because comparing all rows takes less than a millisecond."""
LEAST_LINKS, MOST_LINKS = 8, 32

# Rows passed to FAISS at once, because they may have to be read from a file or converted: 64 MB of 128 float32 values.
_BLOCK = 131_072
# Training rows for each centroid of k-means: FAISS warns below the first number; more than the second are not drawn.
_LEAST_SAMPLE, _MOST_SAMPLE = 39, 64
_SEED = 1234
# Seconds after which the part of a large index that is built is saved, or so many times the seconds of the last saving.
_EVERY, _TIMES = 30, 20

log = logging.getLogger("cbir")


def library() -> Any:
    """Return the module ``faiss``, set to use as many threads as the job has.

    Raises:
        InputError: when it is not installed.
    """
    # OpenMP reads this when FAISS loads: waiting threads sleep. By default they spin, which makes training the codes
    # more than four times slower when other processes use the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Silences the message about the chosen build that FAISS logs at each import.
    logging.getLogger("faiss.loader").setLevel(logging.ERROR)
    try:
        import faiss
    except ImportError:
        raise InputError(
            "This kind of index needs FAISS, which is not installed: run `make extras` (or pip install faiss-cpu), or "
            "set index.kind to kdtree or exact."
        ) from None
    # OpenMP keeps this number for each thread, so it is set at every call.
    faiss.omp_set_num_threads(threads.count())
    return faiss


def flat(features: NDArray[Any]) -> Any:
    """Return an index that compares all rows."""
    return _filled(library().IndexFlatL2(features.shape[1]), features)


def hnsw(features: NDArray[Any], links: int, ef_construction: int, kept: "Kept | None" = None) -> Any:
    """Return a graph of near neighbours (HNSW: Malkov and Yashunin, 2020) that holds the vectors.

    Args:
        features: (n, d).
        links: M, the links of a row in each layer; the lowest layer has 2 M.
        ef_construction: how many candidates are kept while the neighbours of a new row are searched.
        kept: where a part of a large graph is saved, so that a killed build can continue; None saves nothing.
    """
    faiss = library()
    index = faiss.IndexHNSWFlat(features.shape[1], links)
    index.hnsw.efConstruction = ef_construction
    if kept is None or len(features) <= _BLOCK:
        return _filled(index, features)
    # A graph that is read has forgotten how many random numbers it drew; so all are drawn at the start.
    levels = np.array([index.hnsw.random_level() + 1 for _ in range(len(features))], np.int32)
    index = kept.read(type(index), features.shape[1]) or index
    index.hnsw.efConstruction = ef_construction

    def before(rows: int) -> None:
        faiss.copy_array_to_vector(levels[:rows], index.hnsw.levels)

    return _filled(index, features, kept, before)


class Kept:
    """The unfinished index of a build in a file, and its inputs in a side file; the build removes both at its end."""

    def __init__(self, path: Path, made_from: dict[str, Any]) -> None:
        """Take the path of the file, and the description of the index's inputs as JSON data."""
        self.path, self.side, self.made_from = path, path.with_name(path.name + ".json"), made_from
        self._next = time.monotonic() + _EVERY

    def read(self, kind: Any, dimension: int) -> Any:
        """Return the index to continue; None if there is none, or it was made from other inputs, or is damaged."""
        try:
            said = read_json(self.side)
            if said != self._said(sha256_file(self.path)):
                return None
            faiss = library()
            index: Any = faiss.read_index(str(self.path), faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
            if type(index) is not kind or index.d != dimension:
                return None
            if kind is faiss.IndexHNSWFlat and not _is_sound(faiss, index):
                return None
        # After any error the index is built from the start. FAISS raises many types of errors for damaged files.
        except Exception:
            return None
        log.info("a build that was stopped goes on after %d rows", index.ntotal)
        return index

    def save(self, index: Any) -> None:
        """Write the index, unless it was written a short time ago."""
        began = time.monotonic()
        if began < self._next:
            return
        # The side file is removed first, so that a killed process leaves no index with the wrong side file.
        self.side.unlink(missing_ok=True)
        with atomic(self.path) as temporary:
            save(index, temporary)
        write_json(self.side, self._said(sha256_file(self.path)))
        ended = time.monotonic()
        self._next = ended + max(_EVERY, _TIMES * (ended - began))

    def _said(self, digest: str) -> dict[str, Any]:
        return {"made_from": self.made_from, "faiss": library().__version__, "file_sha256": digest}


def ivf_pq(features: NDArray[Any], lists: int | None, code_bytes: int | None, kept: Kept | None = None) -> Any:
    """Return an inverted file with product quantisation (IVF-PQ: Jegou, Douze and Schmid, PAMI 2011).

    Args:
        features: (n, d); of fewer than 256 rows a flat index is returned.
        lists: the number of inverted lists; None for `lists_for`.
        code_bytes: bytes of a row's code, a divisor of d; None for `code_bytes_for`.
        kept: where the index is saved after training and while it is filled, so that a killed build can continue; None
            saves nothing.

    Raises:
        InputError: when ``code_bytes`` does not divide the dimension.
    """
    rows, dimension = features.shape
    # Each byte of a code names one of 256 centroids, and k-means needs at least that many rows.
    if rows < 256:
        return flat(features)
    length = code_bytes or code_bytes_for(dimension)
    if dimension % length:
        raise InputError(
            f"config: index.code_bytes is {length}, which does not divide the {dimension} values of a vector: take one "
            f"of {', '.join(map(str, divisors(dimension)))}."
        )
    faiss = library()
    count = min(lists or lists_for(rows), max(rows // _LEAST_SAMPLE, 1))
    coarse = faiss.IndexFlatL2(dimension)
    index = faiss.IndexIVFPQ(coarse, dimension, count, length, 8)
    # Precomputed tables would take more memory than the codes.
    index.use_precomputed_table = -1
    index.cp.seed, index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = _SEED, 1, _MOST_SAMPLE
    index.pq.cp.seed, index.pq.cp.min_points_per_centroid, index.pq.cp.max_points_per_centroid = _SEED, 1, 128
    if kept is not None and (trained := kept.read(type(index), dimension)):
        return _filled(trained, features, kept)
    chosen = np.random.default_rng(_SEED).permutation(rows)[: max(_MOST_SAMPLE * count, 128 * 256)]
    index.train(np.ascontiguousarray(features[np.sort(chosen)], np.float32))
    if kept is not None:
        kept.save(index)
    return _filled(index, features, kept)


def _filled(
    index: Any, features: NDArray[Any], kept: Kept | None = None, before: Callable[[int], None] | None = None
) -> Any:
    """Add the rows that the index does not have yet; ``before`` is called with their number before each block."""
    # The number of threads does not change the graph, but the size of the blocks does.
    for start in range(index.ntotal, len(features), _BLOCK):
        block = np.ascontiguousarray(features[start : start + _BLOCK], np.float32)
        if before is not None:
            before(start + len(block))
        index.add(block)
        if kept is not None and index.ntotal < len(features):
            kept.save(index)
    return index


def lists_for(rows: int) -> int:
    """Return the number of inverted lists for a number of rows: the power of two nearest to 4 sqrt(rows)."""
    return int(2 ** round(math.log2(4 * math.sqrt(max(rows, 1)))))


def divisors(dimension: int, most: int = 256) -> list[int]:
    """Return the lengths in bytes that a code may have: the divisors of the dimension up to ``most``."""
    return [length for length in range(1, min(dimension, most) + 1) if dimension % length == 0]


def code_bytes_for(dimension: int, most: int = 64) -> int:
    """Return the length of the longest code, up to ``most`` bytes, in which a byte encodes two values or more."""
    return max((length for length in divisors(dimension, most) if 2 * length <= dimension), default=1)


def hnsw_bytes(rows: int, dimension: int, links: int) -> int:
    """Return the size of an HNSW index in bytes.

    A row takes 4 bytes a value, 4 for each of the 2 M links of the lowest layer, and about 20 for the links of the
    upper layers, its offset and its level.
    """
    return rows * (4 * dimension + 8 * links + 20)


def ivf_pq_bytes(rows: int, dimension: int, code_bytes: int) -> int:
    """Return the size of an IVF-PQ index in bytes: codes, row numbers and centroids."""
    return rows * (code_bytes + 8) + 4 * dimension * (lists_for(rows) + 256)


def choose(rows: int, dimension: int, memory: int) -> tuple[str, int]:
    """Choose the type of index for a gallery by the rule in docs/index.md.

    Args:
        rows: the number of gallery images.
        dimension: the number of values of a vector.
        memory: the most bytes that the index may take.

    Returns:
        ``flat`` and 0; ``hnsw`` and its number of links; or ``ivf-pq`` and the bytes of its codes, which are the
        shortest if none fits the memory.
    """
    if rows < FEWEST_ROWS:
        return "flat", 0
    links = MOST_LINKS
    while links >= LEAST_LINKS:
        if hnsw_bytes(rows, dimension, links) <= memory:
            return "hnsw", links
        links //= 2
    lengths = divisors(dimension, code_bytes_for(dimension))
    return "ivf-pq", max((n for n in lengths if ivf_pq_bytes(rows, dimension, n) <= memory), default=1)


def save(index: Any, path: Path) -> None:
    """Write an index in FAISS's format."""
    library().write_index(index, str(path))


def open(path: Path, features: NDArray[Any], about: dict[str, Any]) -> Any:
    """Return the index in a file whose checksum the caller has compared with the side file's.

    Raises:
        InputError: when FAISS cannot read it, or it is not an index of as many vectors of this dimension.
    """
    faiss = library()
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
        plain = type(index) in (faiss.IndexFlatL2, faiss.IndexHNSWFlat, faiss.IndexIVFPQ)
        rows = (about.get("built_rows"), features.shape[1])
        fits = plain and (index.ntotal, index.d) == rows and index.metric_type == faiss.METRIC_L2
        if fits and type(index) is faiss.IndexHNSWFlat:
            fits = _is_sound(faiss, index)
    # FAISS raises RuntimeError for most faults, and other exceptions for numbers out of range.
    except Exception as error:
        raise InputError(
            f"The index {path} cannot be read by FAISS ({_first_line(error)}): remove it and run again."
        ) from error
    if not fits:
        raise InputError(f"The index {path} is not of the vectors in its feature store: remove it and run again.")
    return index


def _is_sound(faiss: Any, index: Any) -> bool:
    """Return whether all links of a graph lead to existing rows; FAISS follows links without checking them."""
    graph, rows = index.hnsw, index.ntotal
    places, levels, links, per_level = (
        faiss.vector_to_array(part).astype(np.int64)
        for part in (graph.offsets, graph.levels, graph.neighbors, graph.cum_nneighbor_per_level)
    )
    if len(levels) != rows or len(places) != rows + 1 or index.storage.ntotal != rows or index.storage.d != index.d:
        return False
    if not (levels.min(initial=1) >= 1 and levels.max(initial=1) < len(per_level) and np.all(np.diff(per_level) >= 0)):
        return False
    sizes = per_level[levels]
    return bool(
        places[0] == 0
        and np.array_equal(np.diff(places), sizes)
        and places[-1] == len(links)
        and links.min(initial=-1) >= -1
        and links.max(initial=-1) < rows
        and 0 <= graph.entry_point < rows
        and 0 <= graph.max_level < levels[graph.entry_point]
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[-1][:200]


def candidates(index: Any, queries: NDArray[Any], k: int, effort: int) -> NDArray[np.int64]:
    """Return k or more candidate rows for each query, see `cbir.retrieval.indexes`."""
    faiss = library()
    count, asked = k, None
    if isinstance(index, faiss.IndexHNSWFlat):
        # More than k, because FAISS ranks by float32 distances and may order the last few differently.
        count = k + 10
        asked = faiss.SearchParametersHNSW(efSearch=max(effort, count))
    elif isinstance(index, faiss.IndexIVFPQ):
        # Many more than k, because distances to codes are approximate.
        count = max(100, 4 * k, min(4 * effort, 1000))
        asked = faiss.SearchParametersIVF(nprobe=effort)
    else:
        count = k + 10
    _, rows = index.search(np.ascontiguousarray(queries, np.float32), min(count, index.ntotal), params=asked)
    found: NDArray[np.int64] = rows
    return found


def efforts(index: Any) -> Sequence[int]:
    """Return the values of efSearch or nprobe to try, ascending; a flat index has none, so [1]."""
    faiss = library()
    if isinstance(index, faiss.IndexHNSWFlat):
        return [16 * 2**step for step in range(8)]
    if isinstance(index, faiss.IndexIVFPQ):
        return [2**step for step in range(index.nlist.bit_length() - 1)] + [index.nlist]
    return [1]


def versions() -> dict[str, str]:
    """Return the version of FAISS."""
    return {"faiss": library().__version__}


def describe(index: Any) -> dict[str, Any]:
    """Return the FAISS version, the factory string and the name of the search parameter."""
    faiss = library()
    about: dict[str, Any] = {**versions(), "factory": "Flat", "parameter": None}
    if isinstance(index, faiss.IndexHNSWFlat):
        links = index.hnsw.nb_neighbors(1)
        about |= {"factory": f"HNSW{links}", "parameter": "efSearch"}
    elif isinstance(index, faiss.IndexIVFPQ):
        about |= {"factory": f"IVF{index.nlist},PQ{index.pq.M}", "parameter": "nprobe"}
    return about
