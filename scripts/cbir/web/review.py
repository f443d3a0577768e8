"""The review of the collection: doubtful labels, near-duplicates and rejected files, on which the user decides.

A decision is saved as a correction (see `cbir.collection.corrections`), which the next run applies. Image files are not
changed.
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
"""The verdict that removes a decision."""
KINDS = {
    "labels": ("Doubtful labels", "None of the nearest images is of the image’s own category."),
    "copies": ("Near-duplicates", "Copies of one picture, the groups across splits and categories first."),
    "rejected": ("Rejected files", "The files that the run did not use, each with the reason."),
}

_saving = threading.Lock()


@dataclass(frozen=True)
class Item:
    """An image or file to decide on.

    Attributes:
        image_id: its path in the collection, by which a correction names it.
        image: the image; None if its content is not known.
        about: a sentence that says why it is listed.
        suggested: the category that its neighbours suggest; may be empty.
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
"""A title, and the items below it, which can be decided together."""


def groups(library: Library, kind: str) -> list[Group]:
    """Return the items of a kind of review, the clearest cases first; [] if the run has no such table.

    Raises:
        InputError: when a table is damaged, or names images that are not in the collection.
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
    # Results of an earlier version lack the column "doubted".
    table = library.files.table(NEAR_DUPLICATES, [name for name in NEAR_DUPLICATE_COLUMNS if name != "doubted"])
    found = []
    for number, rows in table.groupby("group", sort=False):
        across = [f"in several {what}" for what in ("splits", "categories") if rows[f"across_{what}"].iloc[0]]
        if "doubted" in rows and rows["doubted"].iloc[0]:
            across.append("probably not copies")
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
        # Without folders that were skipped, and without files that an earlier decision excluded.
        if name and not name.endswith("/") and reason != corrections.EXCLUDED
    ]


def _known(library: Library, image_id: str) -> Image:
    if image_id not in library.images:
        raise InputError(
            f"{library.files.path(IMAGES)} lacks the image {image_id!r}, which is to be reviewed: run again."
        )
    return library.images[image_id]


def read(library: Library) -> corrections.Corrections:
    """Return the corrections made so far."""
    return corrections.read(library.corrections)


def decide(library: Library, image_ids: Sequence[str], verdict: str, category: str) -> Mapping[str, str]:
    """Save a decision on images as corrections.

    Args:
        library: the results that are reviewed.
        image_ids: the images.
        verdict: ``right``, ``move``, ``exclude``, or ``CLEAR``.
        category: the new category, for ``move``.

    Returns:
        The decision as it is saved.

    Raises:
        InputError: when an image is not in this collection, the decision is not valid, or the file of corrections is
            outside the folder of the run.
    """
    if verdict not in (corrections.RIGHT, corrections.MOVE, corrections.EXCLUDE, CLEAR):
        raise InputError("The request has an unknown decision: choose one of the buttons.")
    if verdict == corrections.MOVE and (problem := corrections.category_problem(category)):
        raise InputError(f"The image was not moved, because {problem}: write another one.")
    reviewable = library.images.keys() | {item.image_id for _, items in _rejected(library) for item in items}
    if not image_ids or not reviewable.issuperset(image_ids):
        raise InputError("The image is not in the collection: reload the list.")
    path = library.corrections
    # The configuration is part of the results, which may come from somebody else.
    if path.suffix != ".csv" or not path.resolve().is_relative_to(library.files.home.resolve()):
        raise InputError(
            f"Corrections would be saved in {path}, which is not a .csv file in the folder of the run: set "
            "collection.corrections to one, or write the file by hand."
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
