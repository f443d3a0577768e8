"""List saved refinements, open one as the state of a search, and delete one."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cbir.collection import images
from cbir.feedback.folder import Entry, find
from cbir.feedback.refinement import Refinement
from cbir.feedback.rounds import refine
from cbir.files.errors import InputError
from cbir.web.current import Held
from cbir.web.outside import MAX_BYTES
from cbir.web.state import IRRELEVANT, MAX_ROUNDS, RELEVANT, State, flags_of, image_key


@dataclass(frozen=True)
class Saved:
    """A row of the list of saved refinements.

    Attributes:
        name: the name of its file without ``.json``.
        query: the file name of the query.
        sha256: the query's content hash; empty for an image from outside.
        method: the method.
        rounds: how many rounds were judged.
        relevant: how many images were judged relevant in all rounds.
        irrelevant: how many were judged irrelevant, likewise.
        own: whether its weights or ``judged_first`` differ from the run's, with which the search page ranks.
        problem: why it cannot be opened; empty if it can.
    """

    name: str
    query: str
    sha256: str
    method: str
    rounds: int
    relevant: int
    irrelevant: int
    own: bool
    problem: str


def saved(folder: Path, held: Held) -> list[Saved]:
    """Return the saved refinements of a folder, sorted by name; those that cannot be used state their problem.

    Raises:
        InputError: when the folder cannot be read.
    """
    return [_listed(name, entry, held) for name, entry in _find(folder, held).items()]


def _find(folder: Path, held: Held) -> dict[str, Entry]:
    library = held.library
    return find(folder, library.methods, library.weights, next(iter(library.methods)), library.k)


def _listed(name: str, entry: Entry, held: Held) -> Saved:
    asked = entry.refinement
    if asked is None:
        return Saved(name, "", "", "", 0, 0, 0, False, entry.problem)
    image = held.library.images.get(asked.query)
    problem = ""
    if image is None and entry.image is None:
        problem = f"its query {asked.query!r} is neither in the collection nor a file beside it"
    count = {
        verdict: sum(len(getattr(judged, verdict)) for judged in asked.rounds) for verdict in ("relevant", "irrelevant")
    }
    own = (asked.weights, asked.judged_first) != (held.library.weights, held.library.judged_first)
    return Saved(
        *(name, PurePosixPath(asked.query).name, image.sha256 if image else "", asked.method, len(asked.rounds)),
        *(count["relevant"], count["irrelevant"], own, problem),
    )


def opened(folder: Path, name: str, held: Held) -> State:
    """Return a saved refinement as the state of a search after its last round.

    Raises:
        InputError: when it does not exist, or cannot be used with these results.
    """
    entry = _find(folder, held).get(name)
    if entry is None:
        raise InputError(f"The saved refinement {name!r} no longer exists: choose another one.")
    asked = entry.refinement
    if asked is None:
        raise InputError(entry.problem)
    if len(asked.rounds) > MAX_ROUNDS:
        raise InputError(
            f"The refinement {name!r} has more than {MAX_ROUNDS} rounds, the most that the search page shows: choose "
            "another one."
        )
    method = held.library.methods[asked.method]
    image = held.library.images.get(asked.query)
    upload = None
    if image is not None:
        if image.image_id not in method.vectors:
            raise InputError(f"The query {image.image_id!r} has no features with {asked.method}: choose another one.")
        vector = method.vectors[image.image_id]
    else:
        upload = _upload(asked, entry, held)
        made = held.outside.vector(asked.method, upload, 0.5)
        # Judgements that are ranks need the ranking, and so the vector: wait longer for the encoder.
        if made is None and any(
            isinstance(item, int) for one in asked.rounds for item in one.relevant + one.irrelevant
        ):
            made = held.outside.vector(asked.method, upload, 60)
        vector = made if made is not None else method.gallery.features[0]
    query = image.image_id if image else None
    results = refine(method.gallery, asked, vector, query, image.category if image else None)
    flags = []
    for judged, result in zip(asked.rounds, results, strict=False):
        given = {}
        for letter, items in ((RELEVANT, judged.relevant), (IRRELEVANT, judged.irrelevant)):
            for item in items:
                image_id = result.image_ids[item] if isinstance(item, int) else item
                given[image_key(held.library.images[image_id].sha256)] = letter
        flags.append(flags_of(given))
    return State(asked.method, query, upload, asked.k, asked.strategy, (*flags, ""), len(flags), name=name)


def _upload(asked: Refinement, entry: Entry, held: Held) -> str:
    if entry.image is None:
        raise InputError(f"{entry.path}: its query {asked.query!r} is neither in the collection nor a file beside it.")
    try:
        if os.path.getsize(entry.image) > MAX_BYTES:
            raise InputError(f"{entry.image} is larger than {MAX_BYTES // 10**6} MB: make it smaller.")
    except OSError as error:
        raise InputError(f"{entry.image} cannot be read ({error.strerror}): check it.") from None
    return held.outside.add(images.read_bytes(entry.image), PurePosixPath(entry.image).name)


def delete(folder: Path, name: str, held: Held) -> None:
    """Remove a saved refinement, and its query image from outside if no other refinement uses it.

    Raises:
        InputError: when it does not exist, or a file cannot be removed.
    """
    entries = _find(folder, held)
    entry = entries.pop(name, None)
    if entry is None:
        raise InputError(f"The saved refinement {name!r} no longer exists: reload the list.")
    try:
        os.unlink(entry.path)
        own = (folder / "images").resolve()
        if (
            entry.image
            and Path(entry.image).resolve().parent == own
            and entry.image not in {e.image for e in entries.values()}
        ):
            os.unlink(entry.image)
    except OSError as error:
        raise InputError(
            f"{entry.path} cannot be removed ({error.strerror}): check the folder's permissions."
        ) from None
