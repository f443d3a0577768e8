"""A search as its address tells it.

The server keeps nothing about a visitor: the address holds the query and every flag of every round. So a reload, the
browser's own steps back and forward, a bookmark and any number of tabs work by themselves.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cbir.errors import InputError
from cbir.feedback.refinement import Round
from cbir.feedback.strategies import STRATEGIES

MAX_K = 100
# The format's limit.
MAX_ROUNDS = 100

RELEVANT, IRRELEVANT, UNJUDGED = "r", "i", "."
_FLAGS = re.compile(rf"[{RELEVANT}{IRRELEVANT}{UNJUDGED}]*")
_UPLOAD = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class State:
    """A query, the flags given so far, and the round that is looked at.

    Attributes:
        method: whose features are searched.
        query: the query's image_id, or None for an image from outside.
        upload: the SHA-256 of an image from outside, or None.
        k: results a round.
        strategy: what the judgements do.
        flags: for every round reached, a letter for each of its results, in order; unjudged ones at the end left out.
            The last entry has not been acted upon yet.
        at: the round looked at.
    """

    method: str
    query: str | None
    upload: str | None
    k: int
    strategy: str = "rocchio"
    flags: tuple[str, ...] = ("",)
    at: int = 0

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
        known |= {"query": self.query} if self.query is not None else {"upload": self.upload or ""}
        known |= {"k": self.k, "strategy": self.strategy}
        if self.flags != ("",):
            known["rounds"] = "_".join(self.flags)
        if self.at:
            known["at"] = self.at
        return known

    def flag(self, position: int, letter: str) -> "State":
        """Return the state after a click on a flag of the round looked at; a second click takes the flag away.

        Rounds after this one followed from its old flags, so they are left out.
        """
        letters = list(self.here.ljust(position + 1, UNJUDGED))
        letters[position] = UNJUDGED if letters[position] == letter else letter
        return replace(self, flags=(*self.flags[: self.at], _trim("".join(letters))))

    def step(self, at: int) -> "State":
        """Return the state that looks at another round."""
        return replace(self, at=at)

    def next(self) -> "State":
        """Return the state that acts upon the flags of the last round."""
        return replace(self, flags=(*self.flags, ""), at=len(self.flags))

    def ranking(self) -> "State":
        """Return the state without the flags of the round looked at: equal for states that show the same results."""
        return replace(self, flags=(*self.flags[: self.at], ""))

    def with_strategy(self, strategy: str) -> "State":
        """Return the first flags under another strategy; later ones were given to images that it may not show."""
        first = (self.flags[0], "") if self.last else self.flags
        return replace(self, strategy=strategy, flags=first, at=len(first) - 1)

    def afresh(self, method: str | None = None, k: int | None = None) -> "State":
        """Return the plain query with another method or number of results."""
        return replace(self, method=method or self.method, k=k or self.k, flags=("",), at=0)


def parse(arguments: Mapping[str, str], methods: Collection[str]) -> State:
    """Read a state from an address.

    Raises:
        InputError: naming the argument that no link of the page has.
    """
    method = arguments.get("method", "")
    if method not in methods:
        raise InputError(f"The address names the method {method!r}: choose one of {', '.join(methods)}.")
    query, upload = arguments.get("query"), arguments.get("upload")
    if (query is None) == (upload is None) or (upload is not None and not _UPLOAD.fullmatch(upload)):
        raise InputError("The address names no query image: choose one.")
    strategy = arguments.get("strategy", "rocchio")
    if strategy not in STRATEGIES:
        raise InputError(f"The address names the strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}.")
    k = _number(arguments.get("k", "10"), "k", 1, MAX_K)
    flags = tuple(_trim(letters) for letters in arguments.get("rounds", "").split("_"))
    if len(flags) > MAX_ROUNDS + 1:
        raise InputError(f"The address has more than {MAX_ROUNDS} rounds, the most that a refinement may have.")
    if not all(_FLAGS.fullmatch(letters) and len(letters) <= k for letters in flags):
        raise InputError(f"The address has flags that do not fit {k} results a round: start again from the query.")
    at = _number(arguments.get("at", "0"), "at", 0, len(flags) - 1)
    return State(method, query, upload, k, strategy, flags, at)


def _number(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise InputError(f"The address has {name} {text[:20]!r}: it must be a whole number from {least} to {most}.")
    return int(text)


def judgements(letters: str) -> Round:
    """Return a round's flags as ranks."""
    return Round(
        relevant=tuple(rank for rank, letter in enumerate(letters) if letter == RELEVANT),
        irrelevant=tuple(rank for rank, letter in enumerate(letters) if letter == IRRELEVANT),
    )


def _trim(letters: str) -> str:
    return letters.rstrip(UNJUDGED)
