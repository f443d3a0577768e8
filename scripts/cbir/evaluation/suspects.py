"""Find images that are likely mislabelled or untypical of their category: all their neighbours are of other ones."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection.categories import Relevant
from cbir.features import transforms
from cbir.retrieval import exact
from cbir.retrieval.voting import majority_vote

SUSPECT_COLUMNS = [
    "image_id",
    "category",
    "suggested",
    "share",
    "neighbours",
    "nearest",
    "distance",
    "own_distance",
]
NEIGHBOURS = 10


def scaled(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows (n, d) scaled to length 1; no row depends on the others."""
    return transforms.transform(transforms.fit({"transform": "l2"}, [features]), [features])


def suspects(
    images: pd.DataFrame,
    unit: NDArray[np.float32],
    groups: Mapping[str, str],
    k: int = NEIGHBOURS,
    most: int | None = None,
    nearest: Callable[..., tuple[NDArray[np.float64], NDArray[np.int64]]] = exact.nearest,
) -> pd.DataFrame:
    """List the images none of whose nearest neighbours is of their own category.

    Near-duplicates count as one picture, and an image's own near-duplicates are not
    its neighbours, because they would have the same wrong label. In a category with n < ``k`` other pictures, only the
    n nearest neighbours are used.

    Args:
        images: columns image_id, category, label and sha256.
        unit: (n, d), the rows of ``images``, each `scaled` to length 1.
        groups: the group of each content (sha256) that has near-duplicates.
        k: how many neighbours.
        most: of more pictures so many are searched, those whose group or content (sha256) comes first: as good as a
            random choice. The time grows with images times pictures that are searched. None: all.
        nearest: finds the nearest pictures of each image, as `cbir.retrieval.exact.nearest`.

    Returns:
        Columns ``SUSPECT_COLUMNS``. ``suggested`` is the category of most neighbours (of tied ones, that of the nearest
        neighbour), ``share`` its share of the ``neighbours`` used; ``distance`` is the distance to the ``nearest``
        image, ``own_distance`` that to the nearest image of the same category. The clearest cases come first: by share,
        then by the ratio of the two distances.
    """
    image_ids, label = images["image_id"].to_numpy(object), images["label"].to_numpy(np.int64)
    group = images["sha256"].map(lambda digest: groups.get(digest, digest)).to_numpy(object)
    _, pictures, group = np.unique(group, return_index=True, return_inverse=True)
    pictures = pictures[:most]
    distances, places = nearest(unit, unit[pictures], k + 1)
    near = pictures[places]
    of = dict(zip(label, images["category"], strict=True))
    names = [of.get(number, "") for number in range(label.max(initial=-1) + 1)]
    relevant = Relevant(names)
    # How many other pictures of its own category each image has.
    others = relevant.count(np.bincount(label[pictures], minlength=len(names)))[label]
    searched = np.flatnonzero(group < len(pictures))
    others[searched] -= relevant(label[pictures[group[searched]]], label[searched])

    is_other = group[near] != group[:, None]
    used = is_other & (np.cumsum(is_other, axis=1) <= np.minimum(k, others)[:, None])
    is_suspect = used.any(axis=1) & ~(used & relevant(label[near], label[:, None])).any(axis=1)
    rows = []
    for row, own_distance in _own_distances(np.flatnonzero(is_suspect), unit, pictures, label, group, relevant):
        kept = np.flatnonzero(used[row])
        found = label[near[row, kept]]
        suggested = int(majority_vote(found[None])[0])
        rows.append(
            [
                image_ids[row],
                names[label[row]],
                names[suggested],
                float(np.mean(found == suggested)),
                len(kept),
                image_ids[near[row, kept[0]]],
                float(distances[row, kept[0]]),
                own_distance,
            ]
        )
    table = pd.DataFrame(rows, columns=SUSPECT_COLUMNS)
    table["_further"] = table["own_distance"] / table["distance"].clip(lower=np.finfo(np.float64).tiny)
    order = table.sort_values(["share", "_further", "image_id"], ascending=[False, False, True], ignore_index=True)
    return order[SUSPECT_COLUMNS]


def _own_distances(
    rows: NDArray[np.int64],
    unit: NDArray[np.float32],
    pictures: NDArray[np.int64],
    label: NDArray[np.int64],
    group: NDArray[np.int64],
    relevant: Relevant,
) -> Iterator[tuple[int, float]]:
    """Yield images and the distance of each to the nearest other picture of its category, of which there is one."""
    for number in np.unique(label[rows]):
        asking = rows[label[rows] == number]
        own = pictures[relevant(label[pictures], number)]
        # Of these pictures at most one is the image's own.
        distances, places = exact.nearest(unit[asking], unit[own], 2)
        is_other = group[own[places]] != group[asking, None]
        yield from zip(
            asking.tolist(), distances[np.arange(len(asking)), is_other.argmax(axis=1)].tolist(), strict=True
        )
