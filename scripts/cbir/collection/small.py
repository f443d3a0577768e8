"""Refuse categories that have too few images for all splits."""

from collections.abc import Iterable, Mapping
from typing import Any

from cbir.files.errors import InputError


def least(settings: Mapping[str, Any]) -> int:
    """Return how many images, or groups of images, a category needs to have one in each split."""
    return 2 + (settings["val"] > 0)


def refuse_small(counts: Mapping[str, int], least: int, what: str = "usable images") -> None:
    """Refuse categories that have too few images for all splits; one message names all of them.

    Args:
        counts: number of images of each category.
        least: how many a category needs.
        what: the things that are counted, in the plural.

    Raises:
        InputError: when there are such categories.
    """
    small = {name: count for name, count in sorted(counts.items()) if count < least}
    if not small:
        return
    remedy = "add images, or set split.small to gallery (they are found and never asked for) or to drop"
    if len(small) == 1:
        [(name, count)] = small.items()
        one = {"usable images": "usable image", "groups of images": "group of images"}[what]
        raise InputError(
            f"The category {name!r} has {count} {what if count != 1 else one}, fewer than the split needs ({least} "
            f"or more): {remedy}."
        )
    described = listed_names(f"{name!r} has {count}" for name, count in small.items())
    raise InputError(
        f"{len(small)} of {len(counts)} categories have fewer {what} than the split needs ({least} or more), "
        f"{described}: {remedy}."
    )


def listed_names(names: Iterable[str], most: int = 50) -> str:
    """Return names separated by commas; of more than ``most`` the first ones, and the number of the others."""
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
