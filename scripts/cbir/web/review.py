"""What a run doubts of its collection, for a person to review: labels, near-duplicates, and rejected files.

A decision is saved as a correction (see `cbir.collection.corrections`), which the next run applies. Photographs stay as
they are.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cbir.collection import corrections
from cbir.collection.columns import NEAR_DUPLICATE_COLUMNS, REJECTED_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.files.errors import InputError
from cbir.results import IMAGES, NEAR_DUPLICATES, REJECTED, SUSPECTS
from cbir.web.library import Image, Library

CLEAR = "clear"
"""The verdict that takes a decision back."""
KINDS = {
    "labels": ("Doubtful labels", "None of the nearest images is of the image’s own category."),
    "copies": ("Near-duplicates", "Copies of one picture, the groups across splits and categories first."),
    "rejected": ("Rejected files", "What the run could not use, each with the reason."),
}

_saving = threading.Lock()


@dataclass(frozen=True)
class Item:
    """An image or file to decide on.

    Attributes:
        image_id: what a correction calls it.
        image: the image, None where its content is not known.
        about: why it is here.
        suggested: a category that it may belong to; empty if nothing suggests one.
        beside: an image to compare with.
    """

    image_id: str
    image: Image | None
    about: str
    suggested: str = ""
    beside: Image | None = None

    @property
    def category(self) -> str:
        """The category that the collection gives it."""
        return self.image.category if self.image else ""


Group = tuple[str, list[Item]]
"""A title, and the items below it that are decided together."""


def groups(library: Library, kind: str) -> list[Group]:
    """Return what is to be reviewed of a kind, the clearest cases first; nothing where the run has no such table.

    Raises:
        InputError: when a table is damaged, or names images that the collection has not.
    """
    return {"labels": _labels, "copies": _copies, "rejected": _rejected}[kind](library)


def _labels(library: Library) -> list[Group]:
    if not library.files.path(SUSPECTS).exists():
        return []
    table = library.files.table(SUSPECTS, SUSPECT_COLUMNS, ["share", "neighbours"])
    rows = table.to_dict("records")
    return [
        (
            "",
            [
                Item(
                    row["image_id"],
                    _known(library, row["image_id"]),
                    f"{round(row['share'] * row['neighbours'])} of its {row['neighbours']:.0f} nearest images are "
                    f"{row['suggested']}, none is {row['category']}.",
                    row["suggested"],
                    _known(library, row["nearest"]),
                )
            ],
        )
        for row in rows
    ]


def _copies(library: Library) -> list[Group]:
    if not library.files.path(NEAR_DUPLICATES).exists():
        return []
    # A run from before there was the column doubted lacks it.
    table = library.files.table(NEAR_DUPLICATES, [name for name in NEAR_DUPLICATE_COLUMNS if name != "doubted"])
    found = []
    for number, rows in table.groupby("group", sort=False):
        across = [f"in several {what}" for what in ("splits", "categories") if rows[f"across_{what}"].iloc[0]]
        if "doubted" in rows and rows["doubted"].iloc[0]:
            across.append("likely no copies")
        items = [
            Item(
                row["image_id"],
                _known(library, row["image_id"]),
                f"{row['split'] or 'no split'}; {row['distance']} of 256 bits from the nearest"
                f"{', mirrored' if row['mirrored'] else ''}.",
            )
            for row in rows.to_dict("records")
        ]
        found.append((", ".join([f"Group {number}: {len(items)} images", *across]), items))
    return found


def _rejected(library: Library) -> list[Group]:
    if not library.files.path(REJECTED).exists():
        return []
    table = library.files.table(REJECTED, REJECTED_COLUMNS)
    return [
        ("", [Item(name, library.rejected.get(name), reason.removesuffix(".") + ".")])
        for name, reason in zip(map(library.relative, table["path"]), table["reason"], strict=True)
        # A folder that was not entered, or what was decided on before.
        if name and not name.endswith("/") and reason != corrections.EXCLUDED
    ]


def _known(library: Library, image_id: str) -> Image:
    if image_id not in library.images:
        raise InputError(f"{library.files.path(IMAGES)} has no image {image_id!r}, which is to be reviewed: run again.")
    return library.images[image_id]


def read(library: Library) -> corrections.Corrections:
    """Return the corrections made so far."""
    return corrections.read(library.corrections)


def decide(library: Library, image_ids: Sequence[str], verdict: str, category: str) -> Mapping[str, str]:
    """Save a decision on images as corrections.

    Args:
        library: the results that show them.
        image_ids: the images.
        verdict: ``right``, ``move``, ``exclude``, or ``CLEAR``.
        category: where they are moved.

    Returns:
        The decision.

    Raises:
        InputError: when the images are none of this collection, the decision cannot be, or the file may not be written.
    """
    if verdict not in (corrections.RIGHT, corrections.MOVE, corrections.EXCLUDE, CLEAR):
        raise InputError("There is no such decision: choose one of the buttons.")
    if verdict == corrections.MOVE and (problem := corrections.category_problem(category)):
        raise InputError(f"The image was not moved, for {problem}: write another one.")
    reviewable = library.images.keys() | {item.image_id for _, items in _rejected(library) for item in items}
    if not image_ids or not reviewable.issuperset(image_ids):
        raise InputError("The image is not in the collection: look at the list again.")
    path = library.corrections
    # The configuration came with the results, perhaps from somebody else.
    if path.suffix != ".csv" or not path.resolve().is_relative_to(library.files.home.resolve()):
        raise InputError(
            f"Corrections would go to {path}, which is no .csv file in the folder of the run: set "
            "collection.corrections to one, or write it by hand."
        )
    decision = {"verdict": verdict, "category": category if verdict == corrections.MOVE else ""}
    with _saving:
        held = corrections.read(path)
        for image_id in image_ids:
            if verdict == CLEAR:
                held.pop(image_id, None)
            else:
                held[image_id] = decision
        corrections.write(path, held)
    return decision
