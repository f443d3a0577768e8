"""The state of a search, which its address holds.

The server keeps nothing about a visitor: the address holds the query and every flag of every round. So a reload, the
browser's own steps back and forward, a bookmark and any number of tabs work by themselves.

A flag names its image by content, not by its place among the results, so that it stays with the image when another
method, strategy or number of results changes the ranking.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cbir.feedback.folder import NAME
from cbir.feedback.strategies import REGISTRY as STRATEGIES
from cbir.files.errors import InputError
from cbir.retrieval.outside import require_text

# The limit of feedback.k and of a refinement.
MAX_K = 1000
# A refinement file may have more. Each round costs a ranking of the gallery, and a person stops long before.
MAX_ROUNDS = 20
# An address is part of each link on its page.
MAX_FLAGS = 1000
# Images beside the first one that a search begins with.
MAX_ALSO = 15

RELEVANT, IRRELEVANT = "r", "i"
FILTER = "in-"
"""What an argument of the address begins with that names a column and the value asked of it."""
_DIGITS = 12
_ROUND = re.compile(rf"(?:[{RELEVANT}{IRRELEVANT}][0-9a-f]{{{_DIGITS}}})*")
_UPLOAD = re.compile("[0-9a-f]{64}")
_ALSO = re.compile(rf"[{RELEVANT}{IRRELEVANT}](?:[0-9a-f]{{64}}|[0-9a-f]{{{_DIGITS}}})")
_DISTANCE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LONGEST = 200

Box = tuple[int, int, int, int]
"""A part of an image: left, top, width and height in thousandths of its width and height."""


def image_key(sha256: str) -> str:
    """Return what a flag calls an image: the first digits of its content's SHA-256, enough to tell any two apart."""
    return sha256[:_DIGITS]


def verdicts(flags: str) -> dict[str, str]:
    """Return a round's flags as ``RELEVANT`` or ``IRRELEVANT`` by the image's `image_key`."""
    step = 1 + _DIGITS
    return {flags[at + 1 : at + step]: flags[at] for at in range(0, len(flags), step)}


def flags_of(given: Mapping[str, str]) -> str:
    """Return the flags of which `verdicts` are given."""
    # Sorted, so that the order of clicks makes no difference.
    return "".join(letter + image for image, letter in sorted(given.items()))


@dataclass(frozen=True)
class State:
    """A query, the flags given so far, the round that is looked at, and which of its results are shown.

    Attributes:
        method: whose features are searched.
        query: the query's image_id, or None for an image from outside or a text.
        upload: the SHA-256 of an image from outside, or None.
        k: results a round.
        strategy: what the judgements do.
        flags: for every round reached, what was flagged in it, see `verdicts`. The last entry has not been acted upon
            yet.
        at: the round looked at.
        box: the part of the query image that is searched with; None for the whole image.
        also: further images that the search begins with: ``RELEVANT`` for one like those looked for, ``IRRELEVANT`` for
            one unlike them, each followed by its `image_key`, or by the SHA-256 of an image from outside.
        name: the saved refinement that the search was opened from; empty if from none.
        filters: columns of the table of images, each with the value that shown results have.
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
        """The last round reached."""
        return len(self.flags) - 1

    @property
    def here(self) -> str:
        """The flags of the round looked at."""
        return self.flags[self.at]

    def arguments(self) -> dict[str, Any]:
        """Return the address's arguments, which `parse` reads."""
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
        """Return the state after a click on a flag of the round looked at; a second click takes the flag away.

        Rounds after this one followed from its old flags, so they are left out.

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
        """Return the state that looks at another round."""
        return replace(self, at=at)

    def next(self) -> "State":
        """Return the state that acts upon the flags of the last round."""
        return replace(self, flags=(*self.flags, ""), at=len(self.flags))

    def ranking(self) -> "State":
        """Return the state without the flags of the round looked at: equal for states that show the same results."""
        return replace(self, flags=(*self.flags[: self.at], ""))

    def unfiltered(self) -> "State":
        """Return the state that shows results of any category and distance."""
        return replace(self, filters=(), within=None)


def parse(arguments: Mapping[str, str], methods: Collection[str]) -> State:
    """Read a state from an address.

    Raises:
        InputError: naming the argument that no link of the search page has.
    """
    method = arguments.get("method", "")
    if method not in methods:
        raise InputError(f"The address names the method {method!r}: choose one of {', '.join(methods)}.")
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
        raise InputError(f"The address names the strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}.")
    k = _number(arguments.get("k", "10"), "k", 1, MAX_K)
    flags = tuple(arguments.get("rounds", "").split("_"))
    if len(flags) > MAX_ROUNDS + 1:
        raise InputError(f"The address has more than {MAX_ROUNDS} rounds, the most that is kept: step back.")
    if not all(map(_ROUND.fullmatch, flags)):
        raise InputError("The address has flags that no link of the search page has: start again from the query.")
    if sum(map(len, flags)) > MAX_FLAGS * (1 + _DIGITS):
        raise InputError(f"More than {MAX_FLAGS:,} images are flagged, the most that the search page keeps: step back.")
    flags = tuple(flags_of(verdicts(given)) for given in flags)
    at = _number(arguments.get("at", "0"), "at", 0, len(flags) - 1)
    also = tuple(filter(None, arguments.get("also", "").split("_")))
    if len(also) > MAX_ALSO:
        raise InputError(f"A search begins with {MAX_ALSO + 1} images at most: leave some out.")
    if not all(map(_ALSO.fullmatch, also)):
        raise InputError("The address has further images that no link of the search page has: start again.")
    name = arguments.get("name", "")
    if name and not NAME.fullmatch(name):
        raise InputError("The address names a refinement that the search page cannot have saved: start again.")
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
        raise InputError("The address has a part of the image that does not lie in it: draw the part again.")
    return left, top, width, height


def _number(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise InputError(f"The address has {name} {text[:20]!r}: it must be a whole number from {least} to {most}.")
    return int(text)
