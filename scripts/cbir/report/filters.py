"""Filters of the templates: format numbers, durations and lists as text."""

import math
from collections.abc import Iterable

from cbir.evaluation import calibration

MISSING = "–"
"""Shown in place of a missing value."""


def _absent(value: float | None) -> bool:
    return value is None or math.isnan(value)


def percent(value: float | None) -> str:
    """Return a share as a percentage: 0.8938 gives ``89.4 %``."""
    return MISSING if _absent(value) else f"{100 * value:.1f} %"  # type: ignore[operator]


def decimal(value: float | None) -> str:
    """Return a number with three decimals."""
    return MISSING if _absent(value) else f"{value:.3f}"


def amount(value: float | None) -> str:
    """Return a whole number with separators of thousands: 1939 gives ``1,939``."""
    return MISSING if _absent(value) else f"{value:,.0f}"


def capitalised(text: str) -> str:
    """Return a text with a capital first letter: ``macro F1`` gives ``Macro F1``."""
    return text[:1].upper() + text[1:]


def duration(seconds: float | None) -> str:
    """Return a duration as text: ``0.8 s``, ``42 s``, ``4 min 0 s``, ``1 h 2 min``."""
    if _absent(seconds):
        return MISSING
    assert seconds is not None
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def probability(value: float | None) -> str:
    """Return a probability as text, see `cbir.evaluation.calibration.shown`."""
    return calibration.shown(value)


def plural(count: int, singular: str, several: str = "") -> str:
    """Return a count with its noun: ``1 image``, ``2 images``; ``several`` is an irregular plural."""
    return f"{count:,} {singular if count == 1 else several or singular + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Return an enumeration: ``a``, ``a and b``, ``a, b and c``."""
    *head, last = list(parts) or [""]
    return f"{', '.join(head)} and {last}" if head else last


def is_link(text: str) -> bool:
    """Return whether a text is a web address. Nothing else may become a link, such as ``javascript:``."""
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


FILTERS = {
    function.__name__: function
    for function in (percent, decimal, amount, duration, probability, plural, listed, is_link)
}
