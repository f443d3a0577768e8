"""Count rejected files by the kind of the reason."""

import re
from collections import Counter
from collections.abc import Iterable

# Reasons that contain the names of other files or of patterns are counted by how they begin.
_KINDS = (
    (re.compile("duplicate of "), "exact duplicate", "exact duplicates"),
    (re.compile("conflict: "), "with the same image in another category", "with the same image in another category"),
    (re.compile("hidden"), "hidden file", "hidden files"),
    (re.compile("(folder|file) of the system"), "of the system or of a program", "of the system or of programs"),
    (re.compile("excluded by the corrections"), "left out by the corrections", "left out by the corrections"),
    (re.compile("excluded by "), "excluded by collection.exclude", "excluded by collection.exclude"),
)


def count_reasons(reasons: Iterable[str]) -> list[str]:
    """Return how many files were rejected for each kind of reason, most frequent first: ``3 hidden files``."""
    counts: Counter[tuple[str, str]] = Counter()
    for reason in reasons:
        known = next(((one, several) for pattern, one, several in _KINDS if pattern.match(reason)), None)
        counts[known or (_general(reason),) * 2] += 1
    return [f"{count:,} {one if count == 1 else several}" for (one, several), count in counts.most_common()]


def _general(reason: str) -> str:
    """Return a reason without the part in brackets, which differs from file to file, unless it names a format."""
    kind = re.match(r"not an image in a supported format \((.+)\)$|damaged or truncated (HEIC|AVIF|JPEG 2000)", reason)
    if kind:
        return reason if kind[1] else f"{kind[0]}"
    return re.sub(r" \(.*\)$", "", reason)
