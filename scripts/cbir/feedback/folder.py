"""List the folder of refinements, with what the workflow needs to know of each file before any job runs.

A file that cannot be used becomes an entry with a ``problem``: its own job fails, and the jobs of the others run.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cbir.feedback.refinement import Refinement, locate_query, read, show
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json

# The stem of a file name, without ".json". It becomes the name of a folder of the results.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# The folder of the simulated user's results.
RESERVED = "simulated"


@dataclass(frozen=True)
class Entry:
    """A refinement's file.

    Attributes:
        path: the file.
        refinement: its content; None when it cannot be used.
        image: the path of the image file with the name of its query; None where there is no such file. If the query is
            also an image_id of the collection, the image_id takes precedence.
        problem: a sentence that says why the file cannot be used; "" if it can.
    """

    path: str
    refinement: Refinement | None
    image: str | None
    problem: str


def find(
    folder: str | Path, methods: Collection[str], weights: Weights, method: str | None = None, k: int | None = None
) -> dict[str, Entry]:
    """Return the refinements of a folder by name, which is the file name without ``.json``; {} without the folder.

    Hidden files are skipped, because a file that is still being written is hidden. The other arguments are those of
    `cbir.feedback.refinement.read`.

    Raises:
        InputError: when the folder cannot be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"The folder of refinements {folder} cannot be read ({error.strerror}): check it.") from None
    found = {}
    for name in names:
        if not name.endswith(".json") or name.startswith("."):
            continue
        path, stem = os.path.join(folder, name), name.removesuffix(".json")
        if stem == RESERVED or not NAME.fullmatch(stem):
            problem = (
                f"{path}: the file's name cannot name the folder of its results: rename it to at most 100 letters, "
                f"digits, '.', '_' and '-', and not to {RESERVED}.json."
            )
            found[f"refinement-{sha256_json(stem)[:16]}"] = Entry(path, None, None, str(InputError(problem)))
            continue
        try:
            refinement = read(path, methods, weights, method, k)
            found[stem] = Entry(path, refinement, _image(refinement, folder), "")
        except InputError as error:
            found[stem] = Entry(path, None, None, str(error))
    return found


def _image(refinement: Refinement, folder: str | Path) -> str | None:
    try:
        image = locate_query(refinement, (), folder)
    except InputError:
        # The query may be an image_id. The job, which knows the image_ids, checks that.
        return None
    # Relative to the folder, so that moving the folder does not change its results.
    path = os.path.join(folder, os.path.relpath(image, os.path.realpath(folder)))
    if not path.isprintable():
        raise InputError(
            f"{refinement.source}: query {show(refinement.query)} has characters that cannot be printed: "
            "rename the image file."
        )
    return path
