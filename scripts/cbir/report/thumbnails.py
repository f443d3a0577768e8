"""Pictures that several parts of a page show: each is in the file once, as a class of the style sheet."""

import pandas as pd

from cbir.collection.depths import Whites
from cbir.report import pictures

SIDE, FEWER_SIDE, LARGE_SIDE = 128, 96, 256
"""Pixels of a picture's longer side: usually, where there are many, and where it may be seen large."""
MANY, MOST, MOST_LARGE = 2500, 4500, 400
"""From how many pictures they are smaller, how many there are at most, and how many large ones: about 17 MB in all."""


class Thumbnails:
    """The pictures that a page asks for, in the order in which it asks.

    Args:
        images: columns image_id, path, width and height of the images that may be asked for.
        whites: see `cbir.collection.images.decode`.
    """

    def __init__(self, images: pd.DataFrame, whites: Whites | None = None) -> None:
        self._whites = whites
        columns = ["image_id", "path", "width", "height"]
        self._files = {row[0]: row[1:] for row in images[columns].itertuples(index=False, name=None)}
        self._places: dict[str, int] = {}
        self._large: set[str] = set()

    def ask(self, image_id: str, large: bool = False) -> str:
        """Return the class of an image's picture; ``large`` says that it is also shown large.

        Raises:
            KeyError: when it is none of the images.
        """
        if image_id not in self._files:
            raise KeyError(image_id)
        if large:
            self._large.add(image_id)
        return f"i{self._places.setdefault(image_id, len(self._places))}"

    def style(self) -> str:
        """Return the rules of the classes; the same pictures give the same text."""
        side = SIDE if len(self._places) <= MANY else FEWER_SIDE
        large = LARGE_SIDE if len(self._large) <= MOST_LARGE else side
        return "\n".join(
            f".i{place}{_rule(self._picture(image_id, large if image_id in self._large else side))}"
            if place < MOST
            else f'.i{place}::before{{content:"left out: too many pictures"}}'
            for image_id, place in self._places.items()
        )

    def _picture(self, image_id: str, side: int) -> str:
        path, width, height = self._files[image_id]
        return pictures.picture(path, side, (int(width), int(height)), "JPEG", self._whites)


def _rule(picture: str) -> str:
    if not picture:
        return '::before{content:"picture cannot be read"}'
    return f"{{background-image:url({picture})}}"
