import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from cbir.retrieval import exact as search


def full(queries: np.ndarray, gallery: np.ndarray, block_bytes: int = search.BLOCK_BYTES) -> np.ndarray:
    blocks = list(search.rankings(queries, gallery, block_bytes))
    assert [row for rows, _ in blocks for row in range(rows.start, rows.stop)] == list(range(len(queries)))
    return np.concatenate([order for _, order in blocks])


def exact_ranking(query: np.ndarray, gallery: np.ndarray) -> list[int]:
    """Return the ranking by rational numbers, without rounding; ties by row."""
    squares = [
        sum((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in zip(query, row, strict=True)) for row in gallery
    ]
    return sorted(range(len(gallery)), key=lambda row: (squares[row], row))


def random(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def test_a_ranking_worked_by_hand() -> None:
    gallery = np.array([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [0.0, 0.0]])
    distances, rows = search.nearest([[0.0, 0.0]], gallery, 4)
    # 3-4-5 triangles.
    assert rows.tolist() == [[3, 1, 0, 2]]
    assert distances.tolist() == [[0, 1, 5, 10]]
    assert full(np.zeros((1, 2)), gallery).tolist() == [[3, 1, 0, 2]]


@pytest.mark.parametrize("columns", [1, 5, 300])
def test_agrees_with_brute_force_and_the_kd_tree(columns: int) -> None:
    queries, gallery = random(40, columns, 0), random(500, columns, 1)
    brute = cdist(queries.astype(float), gallery.astype(float))
    assert np.array_equal(full(queries, gallery), np.argsort(brute, axis=1, kind="stable"))
    distances, rows = search.nearest(queries, gallery, 7)
    assert np.array_equal(rows, np.argsort(brute, axis=1, kind="stable")[:, :7])
    assert np.allclose(distances, np.sort(brute, axis=1)[:, :7], rtol=1e-13)
    tree_distances, tree_rows = KDTree(gallery).query(queries, k=7)
    assert np.array_equal(rows, tree_rows)
    assert np.allclose(distances, tree_distances, rtol=1e-12)


@pytest.mark.parametrize("block_bytes", [1, 20_000, 10**9])
def test_the_ranking_does_not_depend_on_the_size_of_blocks(block_bytes: int) -> None:
    queries, gallery = random(30, 8, 0), random(100, 8, 1)
    assert np.array_equal(full(queries, gallery, block_bytes), full(queries, gallery))
    for one, other in zip(
        search.nearest(queries, gallery, 5, block_bytes), search.nearest(queries, gallery, 5), strict=True
    ):
        assert np.array_equal(one, other)


def test_memory_is_bounded_by_the_block() -> None:
    queries, gallery = random(600, 8, 0), random(5000, 8, 1)
    peaks = []
    for megabytes in (1, 8):
        tracemalloc.start()
        for _ in search.rankings(queries, gallery, megabytes * 1_000_000):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    # All rankings would take 24 MB. Threads need some megabytes beside the block, and the caller holds its last part.
    assert peaks[0] < 3
    assert peaks[1] < 13


def test_rounding_that_swaps_rows_across_a_border_of_the_bits_that_hold_the_row() -> None:
    # The same values in another order: first and last row are equally far but for rounding, all others are nearer. As
    # queries grow, their keys pass a multiple of 1,024 units in the last place one after the other, and far from it
    # the bits of first and last row take the keys of both apart.
    wrong = 0
    for seed in (7, 134, 136, 180):
        generator = np.random.default_rng(seed)
        far = generator.uniform(0.5, 1, 32)
        gallery = generator.uniform(-0.3, 0.3, (1024, 32))
        gallery[0], gallery[-1] = -far, -generator.permutation(far)
        query = np.full(32, generator.uniform(0.9, 1.2))
        queries = query * (1 + np.arange(1200) * 2e-16)[:, None]
        # Squares just above a power of two, where a unit in the last place is largest.
        scale = np.sqrt(1.01 * 4 / ((query**2).sum() + (far**2).sum() + 2 * query.dot(far)))
        queries *= scale
        gallery *= scale
        expected = [np.argsort(search.euclidean(query, gallery[[0, -1]]), kind="stable") for query in queries]
        wrong += np.count_nonzero(full(queries, gallery)[:, -2:] != np.array([0, 1023])[expected])
    assert wrong == 0


def test_equal_vectors_have_distance_zero_and_go_by_row() -> None:
    # 64 columns of values that no product sums without rounding, more equal rows than any margin of candidates.
    vector = random(1, 64, 0)
    gallery = np.concatenate([random(10, 64, 1), np.repeat(vector, 50, axis=0), random(10, 64, 2)])
    order = full(vector, gallery)[0]
    assert order[:50].tolist() == list(range(10, 60))
    distances, rows = search.nearest(vector, gallery, 20)
    assert rows[0].tolist() == list(range(10, 30))
    assert distances[0].tolist() == [0.0] * 20


@pytest.mark.parametrize("offset", [1e4, 3e7, -1e12])
def test_a_large_common_offset_loses_no_precision(offset: float) -> None:
    # As float64 all sums are exact; as float32 neighbours at 1e4 are 0.001 apart.
    kind = np.float32 if offset == 1e4 else np.float64
    gallery = (offset + random(200, 6, 1) * 0.05 * max(1.0, abs(offset) * 1e-10)).astype(kind)
    queries = (offset + random(5, 6, 2) * 0.05 * max(1.0, abs(offset) * 1e-10)).astype(kind)
    order = full(queries, gallery)
    near = search.nearest(queries, gallery, 10)[1]
    for row, query in enumerate(queries):
        expected = exact_ranking(query, gallery)
        assert near[row].tolist() == expected[:10]
        assert order[row].tolist() == expected


def test_two_distant_groups_lose_no_precision() -> None:
    # The mean lies between the groups, so moving by it does not help. The keys err by 1e-3, the squares are about 1e-8.
    side = np.repeat([[1e6], [-1e6]], 60, axis=0)
    gallery = side + random(120, 4, 1) * 1e-4
    order = full(gallery[:3], gallery)
    near = search.nearest(gallery[:3], gallery, 12)[1]
    for row in range(3):
        expected = exact_ranking(gallery[row], gallery)
        assert near[row].tolist() == expected[:12]
        assert order[row].tolist() == expected


@given(
    gallery=st.lists(st.tuples(*[st.sampled_from([0, 1, 1e-8, 1 + 2**-30, 1e6])] * 3), min_size=1, max_size=25),
    query=st.tuples(*[st.sampled_from([0, 1, 1e6, 1e-8])] * 3),
    k=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_awkward_numbers_are_ranked_as_their_float64_distances_are(
    gallery: list[tuple[float, ...]], query: tuple[float, ...], k: int
) -> None:
    y, x = np.array(gallery), np.array([query])
    exact = search.euclidean(x[0], y)
    expected = np.argsort(exact, kind="stable")
    order = full(x, y)[0]
    assert np.array_equal(exact[order], exact[expected])
    distances, rows = search.nearest(x, y, k)
    assert np.array_equal(rows[0], expected[:k])
    assert np.array_equal(distances[0], exact[expected[:k]])


def test_more_neighbours_than_images() -> None:
    distances, rows = search.nearest(random(3, 2, 0), random(4, 2, 1), 9)
    assert rows.shape == distances.shape == (3, 4)
    assert all(sorted(row) == [0, 1, 2, 3] for row in rows.tolist())
    assert search.nearest(random(3, 2, 0), np.empty((0, 2)), 9)[1].shape == (3, 0)
    assert search.nearest(np.empty((0, 2)), random(4, 2, 1), 9)[1].shape == (0, 4)
    assert full(random(1, 2, 0), random(1, 2, 1)).tolist() == [[0]]


def assert_as_euclidean(queries: np.ndarray, gallery: np.ndarray, k: int) -> None:
    """Assert that all ranks and digits equal those of `search.euclidean`, ties by row."""
    order, (distances, rows) = full(queries, gallery), search.nearest(queries, gallery, k)
    for row, query in enumerate(queries):
        exact = search.euclidean(query, gallery)
        expected = np.argsort(exact, kind="stable")
        assert order[row].tolist() == expected.tolist()
        assert rows[row].tolist() == expected[:k].tolist()
        assert distances[row].tolist() == exact[expected[:k]].tolist()


def test_distances_that_are_equal_in_single_precision() -> None:
    # Distances of about 8 that differ by 1e-10 and less, while products of single precision err by about 1e-5.
    step = np.random.default_rng(0).permutation(400)[:, None] * 1e-12
    gallery = np.tile(np.random.default_rng(1).normal(size=64), (400, 1)) + step
    assert_as_euclidean(np.zeros((3, 64)) + np.array([[0], [0.5], [-0.5]]), gallery, 9)


def test_distances_that_differ_in_the_bits_that_hold_the_row_alone() -> None:
    # 5,000 rows take 13 bits of the 52 that a distance has.
    steps = np.random.default_rng(0).permutation(5000)[:, None]
    assert_as_euclidean(np.zeros((1, 1)), 1 - steps * 1e-14, 9)


def test_permuted_vectors_differ_only_by_rounding() -> None:
    generator = np.random.default_rng(0)
    vector = generator.gamma(1, size=200).astype(np.float32)
    gallery = np.stack([generator.permutation(vector) for _ in range(300)])
    assert_as_euclidean(np.full((2, 200), 0.25, np.float32), gallery, 9)


@pytest.mark.parametrize("size", [1e-30, 1e-22, 1e-21, 1e15, 2e18, 5e18, 1e19, 3e30])
def test_numbers_whose_squares_leave_single_precision(size: float) -> None:
    gallery = random(150, 12, 0) * np.float32(size)
    assert_as_euclidean(random(60, 12, 1) * np.float32(size), gallery, 7)
    # A query far longer than all images, and far shorter ones among them.
    assert_as_euclidean(random(2, 12, 1), gallery * np.repeat([[1], [1e-5]], 75, axis=0).astype(np.float32), 7)


@pytest.mark.parametrize("k", [1, 16, 17, 300, 999, 1000])
def test_any_k_of_a_gallery_in_several_parts(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    monkeypatch.setattr(search, "_GALLERY_ROWS", 123)
    queries, gallery = random(70, 6, 0), random(1000, 6, 1)
    gallery[500:520] = gallery[7]
    assert_as_euclidean(queries, gallery, k)


def test_the_ranking_does_not_depend_on_the_number_of_threads() -> None:
    queries, gallery = random(200, 64, 0), random(900, 64, 1)
    with threadpool_limits(1):
        alone = [full(queries, gallery), *search.nearest(queries, gallery, 9)]
    with threadpool_limits(3):
        together = [full(queries, gallery), *search.nearest(queries, gallery, 9)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
