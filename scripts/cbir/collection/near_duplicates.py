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

# Images are compared in blocks of this many by this many, whose distances take 16 MB.
_BLOCK = 2048
# The pixels of an image are compared with those of at most this many nearest images. A filled-in form, for example, may
# be near to hundreds of others.
_NEAREST = 6

# A group is doubted if no image of it is within this distance of all the others: `_CHAIN` times the distance of copies,
# but at most `_UNRELATED` bits. Unrelated images are about 115 bits apart in the nearest of `_WAYS`.
_CHAIN, _UNRELATED = 1.5, 104
# A group is also doubted if at least `_MANY` images of a category, and more than `_LARGE_SHARE` of it, are in it.
_MANY, _LARGE_SHARE = 10, 1 / 3

Links = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Pairs of near images, int64 (pairs,) each: row, other row (the larger one), distance, and 1 if one is mirrored."""
Confirm = Callable[[Sequence[tuple[str, str, bool]]], NDArray[np.bool_]]
"""Takes pairs of SHA-256, each with whether the second image is mirrored, and returns which pairs are copies."""

# The three ways to compare two images: the suffix of the columns of hashes of the one and of the other, and whether one
# is mirrored. Mirroring the one gives a slightly different distance than mirroring the other, so both are computed.
_WAYS = (("", "", 0), ("", "_mirrored", 1), ("_mirrored", "", 1))


def groups(hashes: pd.DataFrame, distance: int, confirm: Confirm | None = None) -> pd.DataFrame:
    """Group images that are linked by near-duplicates, directly or through others.

    The distance of two images is the larger of the Hamming distances of their pHashes and of their dHashes. It is
    computed for the images as they are, with the one mirrored and with the other mirrored, and the smallest of the
    three counts. Two images are near-duplicates if it is at most ``distance`` and ``confirm`` agrees. A copy that was
    changed more is not found. Memory is proportional to the number of images.

    Args:
        hashes: columns sha256 and ``HASH_COLUMNS``; an image with empty hashes is not compared.
        distance: in bits of 256, below 128; unrelated images are about 128 apart.
        confirm: decides by the pixels which pairs are copies (see `copies.confirm`); it is called with the pairs of
            each image and its nearest ones only. With None the hashes alone decide.

    Returns:
        Columns ``GROUP_COLUMNS``, a row for each image that has a near-duplicate, sorted by sha256. ``group`` is the
        smallest sha256 of the group; ``nearest`` is the nearest image (among equally near ones that with the smallest
        sha256) and ``distance`` its distance; ``mirrored`` is 1 if it is near only as a mirror image; ``doubted`` is 0,
        see `doubts`.

    Raises:
        InputError: when a hash is not hexadecimal or has another length.
    """
    table = hashes[hashes["phash"] != ""].sort_values("sha256", ignore_index=True)
    count = len(table)
    labels = np.arange(count)
    # Distance, whether mirrored, and row are combined into one integer, so that the nearest image has the smallest one.
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
    """Return the groups that probably hold more than the copies of one picture.

    In a group of copies of one picture, one image is near to all others. In a chain, such as the frames of a film, each
    image is near to the next one, but none to all. A group that is a large part of a category, such as shots of one
    scene or drawings of one layout, is doubted, too, because the rest of the category could hardly be split.

    Args:
        found: as `groups` returns them.
        hashes: see `groups`.
        categories: the category of each image by its SHA-256, empty where it has none.
        distance: see `groups`.

    Returns:
        The reason for which each such group is doubted, by the name of the group, sorted by name.
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
    """Return the radius of a group in bits: the least, over its images, of the largest distance to another one."""
    # Of a large group only the first `_BLOCK` images are tried as its centre.
    ways = [
        np.maximum(
            *(BITS - bits[f"{kind}{one}"][:_BLOCK] @ bits[f"{kind}{other}"].T for kind in ("phash", "dhash")),
        )
        for one, other, _ in _WAYS
    ]
    return int(np.minimum.reduce(ways).max(axis=1).min()) // 2


def _confirmed(links: Iterator[Links], digests: pd.Series, confirm: Confirm) -> Iterator[Links]:
    """Yield the confirmed links between each image and its nearest ones, in one block."""
    kept = np.empty((4, 0), np.int64)
    for found in links:
        kept = _nearest(np.concatenate([kept, np.stack(found)], axis=1))
    kept = kept[:, np.lexsort(kept[1::-1])]
    names = digests.to_numpy(object)
    pairs = [(names[row], names[other], bool(mirrored)) for row, other, _, mirrored in kept.T]
    rows, others, distances, mirrored = kept[:, confirm(pairs)] if pairs else kept
    yield rows, others, distances, mirrored


def _nearest(links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return of links (4, n) those that are among the nearest ones of at least one of their images, (4, kept)."""
    order = np.lexsort((links[3], links[1], links[0], links[2]))
    links = links[:, order]
    # The same pair may come twice: with the one and with the other image mirrored.
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

    A pair comes once for each of `_WAYS` in which it is near. Only two blocks of hashes at a time are unpacked to
    floats, which take 32 times the memory of the hashes.
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
                # Few blocks contain a near pair, so the second hash is rarely compared.
                if inner.max() >= least:
                    second = here[f"dhash{one}"] @ there[f"dhash{other_way}"].T
                    np.minimum(inner, second, out=inner)
                    rows, others = np.nonzero(inner >= least)
                    lengths = ((BITS - inner[rows, others]) // 2).astype(np.int64)
                    yield rows + start, others + other, lengths, np.full(len(rows), mirrored)
            width = min(_BLOCK, count - other)
            progress.advance(width * (width + 1) // 2 if other == start else _BLOCK * width)
