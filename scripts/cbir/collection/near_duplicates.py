"""Find groups of near-duplicates among perceptual hashes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cbir.collection.columns import GROUP_COLUMNS, HASH_COLUMNS
from cbir.collection.compared import Compared, Memory
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


def groups(
    hashes: pd.DataFrame, distance: int, confirm: Confirm | None = None, memory: Memory | None = None
) -> pd.DataFrame:
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
        memory: the pairs that the last run with ``confirm`` found. Only new images are compared with all others, and
            only new pairs are confirmed; the result is that without a memory.

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
    packed = {name: _packed(table[name]) for name in HASH_COLUMNS}
    digests = table["sha256"].to_numpy(object)
    if confirm is None:
        links = _near(packed, distance, np.ones(count, np.bool_))
    else:
        links = iter([_confirmed(packed, digests, distance, confirm, memory)])
    for rows, others, distances, mirrored in links:
        keys = (distances * 2 + mirrored) * count
        np.minimum.at(best, rows, keys + others)
        np.minimum.at(best, others, keys + rows)
        links = coo_array((np.ones(len(rows), bool), (labels[rows], labels[others])), shape=(count, count))
        labels = connected_components(links, directed=False)[1][labels]
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


def _confirmed(
    packed: dict[str, NDArray[np.uint8]],
    digests: NDArray[np.object_],
    distance: int,
    confirm: Confirm,
    memory: Memory | None,
) -> Links:
    """Return the confirmed links between each image and its nearest ones."""
    hashes = np.concatenate(list(packed.values()), axis=1)
    known = memory.read() if memory else None
    kept, new, verdicts = _kept(known, digests, hashes)
    for found in _near(packed, distance, new):
        kept = _nearest(np.concatenate([kept, np.stack(found)], axis=1))
    kept = kept[:, np.lexsort(kept[1::-1])]
    pairs = [(digests[row], digests[other], bool(mirrored)) for row, other, _, mirrored in kept.T]
    asked = [pair for pair in pairs if pair not in verdicts]
    if asked:
        verdicts |= zip(asked, confirm(asked).tolist(), strict=True)
    copies = np.array([verdicts[pair] for pair in pairs], np.bool_)
    if memory:
        memory.write(Compared(digests, hashes, kept, copies))
    rows, others, distances, mirrored = kept[:, copies]
    return rows, others, distances, mirrored


def _kept(
    known: Compared | None, digests: NDArray[np.object_], hashes: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], dict[tuple[str, str, bool], bool]]:
    """Return what remains valid of an earlier comparison.

    Args:
        known: the earlier comparison.
        digests: text (n,), sorted, the images now.
        hashes: (n, bytes) uint8, their hashes.

    Returns:
        The links (4, m) between images that are still there; bool (n,), which images must be compared with all others;
        whether pairs are copies, as far as known.
    """
    new = np.ones(len(digests), np.bool_)
    if known is None or not len(known.sha256):
        return np.empty((4, 0), np.int64), new, {}
    rows = pd.Index(known.sha256).get_indexer(pd.Index(digests))
    new[rows >= 0] = (hashes[rows >= 0] != known.hashes[rows[rows >= 0]]).any(axis=1)
    # The row of each earlier image now, -1 if it is gone or has other hashes.
    place = np.full(len(known.sha256), -1, np.int64)
    place[rows[~new]] = np.flatnonzero(~new)
    links = np.concatenate([place[known.pairs[:2]], known.pairs[2:]])
    # Where a link is gone, a farther image may now be among the nearest ones, so the other end is compared again.
    ends = links[:2, (links[:2] < 0).any(axis=0)]
    new[ends[ends >= 0]] = True
    names = known.sha256[known.pairs[:2]].T
    verdicts = {
        (one, other, bool(mirrored)): bool(copy)
        for (one, other), mirrored, copy in zip(names, known.pairs[3], known.copies, strict=True)
    }
    return links[:, (links[:2] >= 0).all(axis=0)], new, verdicts


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


def _near(packed: dict[str, NDArray[np.uint8]], distance: int, new: NDArray[np.bool_]) -> Iterator[Links]:
    """Yield the links of the images where ``new``, bool (n,), is True, with all images; block by block.

    A pair comes once for each of `_WAYS` in which it is near. Only two blocks of hashes at a time are unpacked to
    floats, which take 32 times the memory of the hashes.
    """
    count, chosen = len(new), np.flatnonzero(new)
    total = len(chosen) * (len(chosen) - 1) // 2 + len(chosen) * (count - len(chosen))
    progress = Progress("pairs of images compared", total)
    least = BITS - 2 * distance
    for start in range(0, len(chosen), _BLOCK):
        rows = chosen[start : start + _BLOCK]
        here = {name: _bits(hashes[rows]) for name, hashes in packed.items()}
        for first in range(0, count, _BLOCK):
            others = np.arange(first, min(first + _BLOCK, count))
            # Two new images are compared once: with the row of the smaller one.
            skipped = new[others] & (others <= rows[:, None]) if first <= rows[-1] else np.empty((0, 0), np.bool_)
            if skipped.size and skipped.all():
                continue
            there = {name: _bits(hashes[first : first + _BLOCK]) for name, hashes in packed.items()}
            for one, other_way, mirrored in _WAYS:
                inner = here[f"phash{one}"] @ there[f"phash{other_way}"].T
                if skipped.size:
                    inner[skipped] = -BITS
                # Few blocks contain a near pair, so the second hash is rarely compared.
                if inner.max() >= least:
                    second = here[f"dhash{one}"] @ there[f"dhash{other_way}"].T
                    np.minimum(inner, second, out=inner)
                    ends = np.nonzero(inner >= least)
                    lengths = ((BITS - inner[ends]) // 2).astype(np.int64)
                    pairs = np.sort([rows[ends[0]], others[ends[1]]], axis=0)
                    yield pairs[0], pairs[1], lengths, np.full(len(lengths), mirrored)
            progress.advance(len(rows) * len(others) - int(skipped.sum()))
