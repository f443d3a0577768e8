"""The state of a search, which is stored in its address.

The server stores nothing about a visitor: the address contains the query and all flags of all rounds. So reloading, the
browser's back and forward buttons, bookmarks and several tabs work without further code.

A flag names its image by content, not by rank, so that it stays with the image when another method, strategy or number
of results changes the ranking.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cbir.feedback.folder import NAME
from cbir.feedback.strategies import REGISTRY as STRATEGIES
from cbir.files.errors import InputError
from cbir.retrieval.outside import require_text

# The limit of feedback.k and of k in a refinement.
MAX_K = 1000
# A refinement file may have more rounds. Each one costs a ranking of the gallery, and a person stops long before.
MAX_ROUNDS = 20
# Limits the length of an address, which each link on a page contains.
MAX_FLAGS = 1000
# The most query images besides the first one.
MAX_ALSO = 15

RELEVANT, IRRELEVANT = "r", "i"
FILTER = "in-"
"""The prefix of the arguments of an address that filter by a column."""
_DIGITS = 12
_ROUND = re.compile(rf"(?:[{RELEVANT}{IRRELEVANT}][0-9a-f]{{{_DIGITS}}})*")
_UPLOAD = re.compile("[0-9a-f]{64}")
_ALSO = re.compile(rf"[{RELEVANT}{IRRELEVANT}](?:[0-9a-f]{{64}}|[0-9a-f]{{{_DIGITS}}})")
_DISTANCE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LONGEST = 200

Box = tuple[int, int, int, int]
"""A part of an image: left, top, width and height in thousandths of its width and height."""


def image_key(sha256: str) -> str:
    """Return the name of an image in flags: the first digits of its content's SHA-256, enough to be unique."""
    return sha256[:_DIGITS]


def verdicts(flags: str) -> dict[str, str]:
    """Return a round's flags as ``RELEVANT`` or ``IRRELEVANT`` by the image's `image_key`."""
    step = 1 + _DIGITS
    return {flags[at + 1 : at + step]: flags[at] for at in range(0, len(flags), step)}


def flags_of(given: Mapping[str, str]) -> str:
    """Return the flags of which ``given`` are the `verdicts`."""
    # Sorted, so that the address does not depend on the order of clicks.
    return "".join(letter + image for image, letter in sorted(given.items()))


@dataclass(frozen=True)
class State:
    """A query, all flags, the current round, and the filters of its results.

    Attributes:
        method: the method whose features are searched.
        query: the query's image_id, or None for an image from outside or a text.
        upload: the SHA-256 of an image from outside, or None.
        k: the number of results of a round.
        strategy: the strategy of relevance feedback.
        flags: the flags of each round, see `verdicts`. The last entry has not been used for a ranking yet.
        at: the current round, the one that is shown.
        box: the part of the query image to search with; None for the whole image.
        also: further query images: ``RELEVANT`` for one that results should resemble, ``IRRELEVANT`` for one that they
            should not, followed by its `image_key`, or by the SHA-256 of an image from outside.
        name: the saved refinement that the search was opened from; may be empty.
        filters: columns of images.csv, each with the value that shown results must have.
        within: the largest distance of shown results; None for any.
        copies: whether near-duplicates of a shown result are shown, too.
        text: words that are looked for, instead of a query image; empty for none.
    """

    method: str
    query: str | None
    upload: str | None
    k: int
    strategy: str = "rocchio"
    flags: tuple[str, ...] = ("",)
    at: int = 0
    box: Box | None = None
    also: tuple[str, ...] = ()
    name: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    within: float | None = None
    copies: bool = False
    text: str = ""

    @property
    def last(self) -> int:
        """The number of the last round."""
        return len(self.flags) - 1

    @property
    def here(self) -> str:
        """The flags of the current round."""
        return self.flags[self.at]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the address, which `parse` reads."""
        known: dict[str, Any] = {"method": self.method}
        if self.text:
            known["text"] = self.text
        else:
            known |= {"query": self.query} if self.query is not None else {"upload": self.upload or ""}
        known |= {"k": self.k, "strategy": self.strategy}
        if self.flags != ("",):
            known["rounds"] = "_".join(self.flags)
        if self.at:
            known["at"] = self.at
        if self.box:
            known["box"] = ",".join(map(str, self.box))
        if self.also:
            known["also"] = "_".join(self.also)
        if self.name:
            known["name"] = self.name
        known |= {f"{FILTER}{column}": value for column, value in self.filters}
        if self.within is not None:
            known["within"] = f"{self.within:.9f}".rstrip("0").rstrip(".")
        if self.copies:
            known["copies"] = 1
        return known

    def flag(self, image: str, letter: str) -> "State":
        """Return the state after a click on a flag of the current round; a second click removes the flag.

        Later rounds followed from the old flags, so they are removed.

        Args:
            image: the `image_key` of the flagged image.
            letter: ``RELEVANT`` or ``IRRELEVANT``.
        """
        given = verdicts(self.here)
        if given.get(image) == letter:
            del given[image]
        else:
            given[image] = letter
        return replace(self, flags=(*self.flags[: self.at], flags_of(given)))

    def step(self, at: int) -> "State":
        """Return the state with another current round."""
        return replace(self, at=at)

    def next(self) -> "State":
        """Return the state with one more round, which uses the flags of the last one."""
        return replace(self, flags=(*self.flags, ""), at=len(self.flags))

    def ranking(self) -> "State":
        """Return the state without the flags of the current round; it is equal for states with the same results."""
        return replace(self, flags=(*self.flags[: self.at], ""))

    def unfiltered(self) -> "State":
        """Return the state without filters and without a largest distance."""
        return replace(self, filters=(), within=None)


def parse(arguments: Mapping[str, str], methods: Collection[str]) -> State:
    """Read a state from an address.

    Raises:
        InputError: naming an argument that is missing or not valid.
    """
    method = arguments.get("method", "")
    if method not in methods:
        raise InputError(f"The address names the unknown method {method!r}: choose one of {', '.join(methods)}.")
    query, upload, text = arguments.get("query"), arguments.get("upload"), arguments.get("text")
    if text is not None:
        text = text.strip()
        require_text(text)
    if (query, upload, text).count(None) != 2 or (upload is not None and not _UPLOAD.fullmatch(upload)):
        raise InputError("The address names no query image: choose one.")
    if text is not None and arguments.get("box"):
        raise InputError("The address has a part of a text, which has none: search for the text again.")
    strategy = arguments.get("strategy", "rocchio")
    if strategy not in STRATEGIES:
        raise InputError(f"The address names the unknown strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}.")
    k = _number(arguments.get("k", "10"), "k", 1, MAX_K)
    flags = tuple(arguments.get("rounds", "").split("_"))
    if len(flags) > MAX_ROUNDS + 1:
        raise InputError(f"The address has more than {MAX_ROUNDS} rounds, which is the limit: go back a round.")
    if not all(map(_ROUND.fullmatch, flags)):
        raise InputError("The address has flags that are not valid: start again from the query.")
    if sum(map(len, flags)) > MAX_FLAGS * (1 + _DIGITS):
        raise InputError(f"More than {MAX_FLAGS:,} images are flagged, which is the limit: go back a round.")
    flags = tuple(flags_of(verdicts(given)) for given in flags)
    at = _number(arguments.get("at", "0"), "at", 0, len(flags) - 1)
    also = tuple(filter(None, arguments.get("also", "").split("_")))
    if len(also) > MAX_ALSO:
        raise InputError(f"A search takes at most {MAX_ALSO + 1} images: leave some out.")
    if not all(map(_ALSO.fullmatch, also)):
        raise InputError("The address has further query images that are not valid: start again.")
    name = arguments.get("name", "")
    if name and not NAME.fullmatch(name):
        raise InputError("The address has a name of a refinement that is not valid: start again.")
    filters = tuple(
        (key.removeprefix(FILTER)[:_LONGEST], value[:_LONGEST])
        for key, value in sorted(arguments.items())
        if key.startswith(FILTER) and value
    )
    within = arguments.get("within", "").strip()
    if within and not _DISTANCE.fullmatch(within):
        raise InputError(f"The largest distance is {within[:20]!r}: write a number such as 0.5.")
    return State(
        *(method, query, upload, k, strategy, flags, at, _box(arguments.get("box", "")), also, name, filters),
        within=float(within) if within else None,
        copies=arguments.get("copies") == "1",
        text=text or "",
    )


def _box(text: str) -> Box | None:
    if not text:
        return None
    found = re.fullmatch("([0-9]{1,4}),([0-9]{1,4}),([0-9]{1,4}),([0-9]{1,4})", text)
    left, top, width, height = map(int, found.groups()) if found else (0, 0, 0, 0)
    if not (width > 0 < height and left + width <= 1000 >= top + height):
        raise InputError("The address has a part of the image that is not inside the image: draw the part again.")
    return left, top, width, height


def _number(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise InputError(f"The address has {name} {text[:20]!r}: it must be a whole number from {least} to {most}.")
    return int(text)
