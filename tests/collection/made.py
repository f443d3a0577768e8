"""Tables of images."""

import hashlib

import pandas as pd


def sha(number: int) -> str:
    """Return the SHA-256 of a number, as if it were an image."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def table(counts: dict[str, int]) -> pd.DataFrame:
    """Return a table of images, with the given number for each category."""
    names = [(category, number) for category, count in counts.items() for number in range(count)]
    return pd.DataFrame(
        {
            "image_id": [f"{category}/{number}.png" for category, number in names],
            "path": [f"in/{category}/{number}.png" for category, number in names],
            "category": [category for category, _ in names],
            "label": [sorted(counts).index(category) for category, _ in names],
            "sha256": [sha(place) for place in range(len(names))],
        }
    )
