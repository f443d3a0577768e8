"""Read the folders of a collection as categories, or as the parts of a given split, which contain categories."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

PARTS = {
    "train": ("train", "training", "gallery", "database", "db", "index", "reference"),
    "val": ("val", "valid", "validation", "dev", "development"),
    "test": ("test", "testing", "query", "queries", "probe", "eval"),
}
"""The usual names of the folders of each split in data sets, in lower case."""

IGNORED = "ignore"
"""The value in the column ``split`` of a manifest for an image to be ignored."""

_SPLIT_OF = {name: split for split, names in PARTS.items() for name in names}
_SEPARATORS = str.maketrans("", "", " _-.")


def split_of(folder: str) -> str:
    """Return the split that a folder's name means, in upper or lower case; empty if it means none."""
    return _SPLIT_OF.get(folder.casefold(), "")


def place(name: str, layout: str) -> tuple[str, str]:
    """Return the category and the split of a file by its folders.

    Args:
        name: path relative to the collection, with forward slashes.
        layout: ``categories``, where the first folder is the category, ``parts``, where the first one is a part of
            the split and the second the category, or ``none``, where folders mean nothing.

    Returns:
        The category, empty where there is no folder for it, and the split, empty where folders name none.
    """
    if layout == "none":
        return "", ""
    folders = name.split("/")[:-1]
    if layout == "categories":
        return (folders[0] if folders else ""), ""
    split = split_of(folders[0]) if folders else ""
    return (folders[1] if split and len(folders) > 1 else ""), split


def are_parts(names: Iterable[str]) -> bool:
    """Tell whether files lie in folders such as train, val and test, each of which holds folders of categories."""
    folders = [name.split("/")[:-1] for name in names]
    if not folders or any(len(parts) < 2 for parts in folders):
        return False
    if not called_parts({parts[0] for parts in folders}):
        return False
    # Usually several parts have a category in common. Otherwise train and test must each have several categories.
    within: dict[str, set[str]] = {}
    for parts in folders:
        within.setdefault(parts[0], set()).add(parts[1])
    shared = Counter(category for categories in within.values() for category in categories)
    return max(shared.values()) > 1 or all(len(categories) > 1 for categories in within.values())


def called_parts(folders: Collection[str]) -> bool:
    """Tell whether all folders have names of parts of a split, and train and at least one other part are there."""
    found = set(map(split_of, folders))
    return "" not in found and "train" in found and len(found) > 1


def likely_root(names: Collection[str]) -> tuple[str, bool]:
    """Return the folder that probably holds the categories, and whether its folders are parts of a split.

    It is the topmost folder with several subfolders, relative to the collection; empty if there is none below it.
    """
    below = [name.split("/")[:-1] for name in names]
    root: list[str] = []
    while below and all(below):
        tops = {parts[0] for parts in below}
        if len(tops) > 1:
            inside = ["/".join([*parts, "file"]) for parts in below]
            return "/".join(root), are_parts(inside)
        root.append(below[0][0])
        below = [parts[1:] for parts in below]
    return "", False


def spellings(categories: Iterable[str]) -> list[list[str]]:
    """Return groups of categories that look alike.

    They differ only in case, in spaces, hyphens, underscores, dots or characters without a width, or in how their
    accents are encoded.
    """
    groups: dict[str, list[str]] = {}
    for category in sorted(set(categories)):
        seen = "".join(character for character in category if unicodedata.category(character) != "Cf")
        key = unicodedata.normalize("NFKC", seen).casefold().translate(_SEPARATORS)
        groups.setdefault(unicodedata.normalize("NFKC", key), []).append(category)
    return [group for group in groups.values() if len(group) > 1]
