"""Find groups of near-duplicates among perceptual hashes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cbir.collection.columns import GROUP_COLUMNS, HASH_COLUMNS
from cbir.collection.perceptual import BITS
from cbir.files.errors import InputError
from cbir.files.progress import Progress

# Images compared at a time with as many others: a block of 16 MB.
_BLOCK = 2048
# Of an image that is near to many others, as one form of many is, only so many of the nearest are looked at.
_NEAREST = 6

# An image of a group, and each other one, differ in at most so many times the bits that two copies may differ in; and
# in fewer than unrelated images, of which the nearest of `_WAYS` is about 115 bits apart.
_CHAIN, _UNRELATED = 1.5, 104
# So many images of one category, and more than this share of it, are more than copies of one picture.
_MANY, _LARGE_SHARE = 10, 1 / 3

Links = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Rows, others (rows < others), their distances, and 1 where the other is mirrored."""
Confirm = Callable[[Sequence[tuple[str, str, bool]]], NDArray[np.bool_]]

# How two images are compared: the hashes of the one, those of the other, and whether that is a mirror image. To mirror
# the one gives a slightly different distance than mirroring the other. Both are computed, and the smaller one counts.
_WAYS = (("", "", 0), ("", "_mirrored", 1), ("_mirrored", "", 1))


def groups(hashes: pd.DataFrame, distance: int, confirm: Confirm | None = None) -> pd.DataFrame:
    """Group images that are linked by near-duplicates, directly or through others.

    Two images are near-duplicates when the larger of the Hamming distances of their pHashes and of their dHashes is at
    most ``distance``, as they are, with the one mirrored or with the other mirrored (the smallest of the three counts),
    and ``confirm`` agrees. A copy that was changed more is not found. Memory is proportional to the number of images.

    Args:
        hashes: columns sha256 and ``HASH_COLUMNS``; an image with empty hashes is compared with none.
        distance: bits of 256, below 128: unrelated images are about 128 apart.
        confirm: tells which pairs of contents, the second one mirrored or not, are copies by their pixels (see
            `copies.confirm`); an image's nearest ones are asked for, at most. None believes the hashes.

    Returns:
        Columns ``GROUP_COLUMNS``, a row for each image that has a near-duplicate, sorted by sha256. ``group`` is the
        smallest sha256 of the group; ``nearest`` the nearest image (of equally near ones the smallest sha256), its
        ``distance``, and 1 in ``mirrored`` where it is near only as a mirror image; ``doubted`` is 0, see `doubts`.

    Raises:
        InputError: when a hash is not hexadecimal or has another length.
    """
    table = hashes[hashes["phash"] != ""].sort_values("sha256", ignore_index=True)
    count = len(table)
    labels = np.arange(count)
    # Neighbours are ordered by one number each, made of distance, whether mirrored, and row.
    none = np.iinfo(np.int64).max
    best = np.full(count, none)
    links = _near({name: _packed(table[name]) for name in HASH_COLUMNS}, distance)
    for rows, others, distances, mirrored in links if confirm is None else _confirmed(links, table["sha256"], confirm):
        keys = (distances * 2 + mirrored) * count
        np.minimum.at(best, rows, keys + others)
        np.minimum.at(best, others, keys + rows)
        links = coo_array((np.ones(len(rows), bool), (labels[rows], labels[others])), shape=(count, count))
        labels = connected_components(links, directed=False)[1][labels]
    digests = table["sha256"].to_numpy(object)
    found = np.flatnonzero(best < none)
    keys, nearest = np.divmod(best[found], max(count, 1))
    # The rows are sorted by sha256, so the first row of a label has the smallest one.
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    return pd.DataFrame(
        {
            "sha256": digests[found],
            "group": digests[first[place[found]]],
            "nearest": digests[nearest],
            "distance": keys // 2,
            "mirrored": keys % 2,
            "doubted": 0,
        },
        columns=GROUP_COLUMNS,
    )


def doubts(found: pd.DataFrame, hashes: pd.DataFrame, categories: Mapping[str, str], distance: int) -> dict[str, str]:
    """Tell which groups are more than copies of one picture: links that lead from one picture to another.

    Of copies of one picture, one is near to all others. In a chain, as of the frames of a film, each is near to the
    next, and no image to all. And a group that is a large part of a category, such as shots of one scene or drawings
    of one layout, would leave the splits of that category next to nothing to divide.

    Args:
        found: as `groups` returns them.
        hashes: see `groups`.
        categories: the category of each content, empty where it has none.
        distance: see `groups`.

    Returns:
        Why each such group is doubted, by its name, in the order of names.
    """
    sizes = Counter(categories.values())
    rows = hashes.set_index("sha256")
    most = max(distance, min(round(_CHAIN * distance), _UNRELATED))
    reasons = {}
    for name, digests in found.groupby("group", sort=True)["sha256"]:
        for category, count in Counter(map(categories.__getitem__, digests)).most_common():
            if count >= _MANY and count > _LARGE_SHARE * sizes[category]:
                whole = f"the category {category}" if category else "the collection"
                reasons[str(name)] = f"{count} of {sizes[category]} images of {whole} are in it"
        if len(digests) > 2 and str(name) not in reasons:
            bits = {column: _bits(_packed(rows.loc[digests, column])) for column in HASH_COLUMNS}
            if (least := _radius(bits)) > most:
                reasons[str(name)] = (
                    f"its images are linked by others, and each differs from another in {least} bits or more"
                )
    return reasons


def _radius(bits: dict[str, NDArray[np.float32]]) -> int:
    """Return the largest distance from the image of a group that is nearest to all others."""
    # Of very many images some are enough to find one in the middle.
    ways = [
        np.maximum(
            *(BITS - bits[f"{kind}{one}"][:_BLOCK] @ bits[f"{kind}{other}"].T for kind in ("phash", "dhash")),
        )
        for one, other, _ in _WAYS
    ]
    return int(np.minimum.reduce(ways).max(axis=1).min()) // 2


def _confirmed(links: Iterator[Links], digests: pd.Series, confirm: Confirm) -> Iterator[Links]:
    """Yield the links that are confirmed, of those to each image's nearest ones, all at once."""
    kept = np.empty((4, 0), np.int64)
    for found in links:
        kept = _nearest(np.concatenate([kept, np.stack(found)], axis=1))
    kept = kept[:, np.lexsort(kept[1::-1])]
    names = digests.to_numpy(object)
    pairs = [(names[row], names[other], bool(mirrored)) for row, other, _, mirrored in kept.T]
    rows, others, distances, mirrored = kept[:, confirm(pairs)] if pairs else kept
    yield rows, others, distances, mirrored


def _nearest(links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep of links (4, n) those that are among the nearest ones of either end."""
    order = np.lexsort((links[3], links[1], links[0], links[2]))
    links = links[:, order]
    # A pair may be near both with the one and with the other mirrored.
    links = links[:, ~pd.DataFrame(links[[0, 1, 3]].T).duplicated().to_numpy()]
    ends = pd.DataFrame(links[:2].T)
    near = [ends.groupby(end).cumcount() < _NEAREST for end in (0, 1)]
    return links[:, (near[0] | near[1]).to_numpy()]


def _packed(column: pd.Series) -> NDArray[np.uint8]:
    """Return hashes as (n, 32) bytes."""
    try:
        return np.frombuffer(bytes.fromhex("".join(column)), np.uint8).reshape(len(column), BITS // 8)
    except ValueError:
        raise InputError(
            "The perceptual hashes are damaged: remove results/collection/hashes.csv and run again."
        ) from None


def _bits(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return hashes as (n, 256) float32 of 1 and -1, whose inner product is 256 - 2 Hamming distances."""
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _near(packed: dict[str, NDArray[np.uint8]], distance: int) -> Iterator[Links]:
    """Yield the links between images whose hashes are near, block by block.

    A pair comes once for each of `_WAYS` in which it is near. Bits become numbers for two blocks at a time, because
    they take 32 times the memory of the hashes.
    """
    count = len(packed["phash"])
    progress = Progress("pairs of images compared", count * (count + 1) // 2)
    least = BITS - 2 * distance
    for start in range(0, count, _BLOCK):
        here = {name: _bits(rows[start : start + _BLOCK]) for name, rows in packed.items()}
        for other in range(start, count, _BLOCK):
            there = {name: _bits(rows[other : other + _BLOCK]) for name, rows in packed.items()}
            for one, other_way, mirrored in _WAYS:
                inner = here[f"phash{one}"] @ there[f"phash{other_way}"].T
                if start == other:
                    inner[np.tril_indices(len(inner))] = -BITS
                # Few blocks hold a pair, so that the second hash costs little.
                if inner.max() >= least:
                    second = here[f"dhash{one}"] @ there[f"dhash{other_way}"].T
                    np.minimum(inner, second, out=inner)
                    rows, others = np.nonzero(inner >= least)
                    lengths = ((BITS - inner[rows, others]) // 2).astype(np.int64)
                    yield rows + start, others + other, lengths, np.full(len(rows), mirrored)
            width = min(_BLOCK, count - other)
            progress.advance(width * (width + 1) // 2 if other == start else _BLOCK * width)
