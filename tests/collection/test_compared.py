from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from cbir.collection import near_duplicates as module
from cbir.collection.columns import HASH_COLUMNS
from cbir.collection.compared import Compared, Memory
from cbir.collection.near_duplicates import groups

DISTANCE = 20
Pairs = list[tuple[str, str, bool]]


def clusters(seed: int, images: int) -> pd.DataFrame:
    """Hashes in a few clusters, with more near images than the pixels of one are compared with."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).integers(0, 2, (4, 4, 256), dtype=np.uint8)
    bits = centres[random.integers(0, 4, images)]
    # A mirror image has the hashes of the other way.
    bits = np.where(random.random((images, 1, 1)) < 0.3, bits[:, [2, 3, 0, 1]], bits)
    bits ^= random.random(bits.shape) < 0.02
    names = [f"{number:016x}" for number in random.integers(0, 2**60, images)]
    rows = [[name, *(np.packbits(way).tobytes().hex() for way in ways)] for name, ways in zip(names, bits, strict=True)]
    return pd.DataFrame(rows, columns=["sha256", *HASH_COLUMNS])


def confirm(pairs: Pairs) -> np.ndarray:
    return np.array([(int(one, 16) + int(other, 16) + mirrored) % 3 > 0 for one, other, mirrored in pairs])


def counting(asked: Pairs) -> module.Confirm:
    def count(pairs: Pairs) -> np.ndarray:
        asked.extend(pairs)
        return confirm(pairs)

    return count


@pytest.mark.parametrize("block", [16, 2048])
def test_after_any_change_the_groups_are_those_of_a_run_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    memory, table = Memory(tmp_path / "memory.h5", "code"), clusters(1, 60)
    pool = clusters(2, 60)
    changed = table.copy()
    changed.loc[3, list(HASH_COLUMNS)] = pool.loc[3, list(HASH_COLUMNS)]
    fewer = changed.drop(index=[0, 8, 9, 20])
    steps = [
        table,
        pd.concat([table, pool[:1]]),
        table,
        changed,
        fewer,
        fewer[:1],
        fewer[:0],
        pool,
        pd.concat([pool, table]),
    ]
    for now in steps:
        asked: Pairs = []
        found = groups(now, DISTANCE, counting(asked), memory)
        every: Pairs = []
        fresh = Memory(tmp_path / f"{len(now)}.h5", "code")
        fresh.path.unlink(missing_ok=True)
        pd.testing.assert_frame_equal(found, groups(now, DISTANCE, counting(every), fresh))
        kept, made = memory.read(), fresh.read()
        assert kept is not None and made is not None
        assert np.array_equal(kept.pairs, made.pairs) and np.array_equal(kept.copies, made.copies)
        again: Pairs = []
        pd.testing.assert_frame_equal(found, groups(now, DISTANCE, counting(again), memory))
        assert set(asked) <= set(every) and not again
    # The clusters are so large that not all near pairs are compared by their pixels.
    assert len(every) < len(groups(table, DISTANCE)) * 30


def test_one_image_more_is_compared_with_all_others_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    products: list[tuple[int, ...]] = []
    bits = module._bits
    monkeypatch.setattr(module, "_bits", lambda packed: (products.append(packed.shape), bits(packed))[1])
    memory, table = Memory(tmp_path / "memory.h5", "code"), clusters(1, 50)
    groups(table, DISTANCE, confirm, memory)
    products.clear()
    asked: Pairs = []
    more = clusters(5, 1)
    groups(pd.concat([table, more]), DISTANCE, counting(asked), memory)
    assert products == [(1, 32)] * 4 + [(51, 32)] * 4
    assert asked and all(more["sha256"][0] in pair for pair in asked)
    products.clear()
    groups(pd.concat([table, more]), DISTANCE, confirm, memory)
    assert not products, "nothing is compared if nothing has changed"


def test_a_memory_that_is_damaged_or_was_made_in_another_way_is_not_used(tmp_path: Path) -> None:
    path, table = tmp_path / "memory.h5", clusters(1, 30)
    memory = Memory(path, "code")
    groups(table, DISTANCE, confirm, memory)
    known = memory.read()
    assert known is not None and len(known.sha256) == 30 and known.pairs.size
    assert Memory(path, "other code").read() is None
    whole = path.read_bytes()
    for damaged in (b"", whole[:-100], whole.replace(known.hashes[5].tobytes(), bytes(128))):
        assert damaged != whole
        path.write_bytes(damaged)
        assert memory.read() is None
    # Written by others, with a hash that fits, but of rows that do not exist.
    for pairs, copies in (
        (np.array([[0], [30], [4], [0]]), np.ones(1, np.bool_)),
        (np.array([[-1], [3], [4], [0]]), np.ones(1, np.bool_)),
        (np.array([[2], [2], [4], [0]]), np.ones(1, np.bool_)),
        (known.pairs, known.copies[:-1]),
        (known.pairs[:3], known.copies),
    ):
        memory.write(Compared(known.sha256, known.hashes, pairs, copies))
        assert memory.read() is None
    memory.write(Compared(known.sha256[::-1], known.hashes, known.pairs, known.copies))
    assert memory.read() is None
    with h5py.File(path, "a") as file:
        del file["pairs"]
    pd.testing.assert_frame_equal(groups(table, DISTANCE, confirm, memory), groups(table, DISTANCE, confirm))
    read = memory.read()
    assert read is not None and np.array_equal(read.pairs, known.pairs)
