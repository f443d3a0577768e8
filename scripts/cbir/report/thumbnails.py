"""Pictures for several parts of the report: each is in the file once, as a class of the style sheet."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from cbir.collection.depths import Whites
from cbir.report import pictures

SIDE, FEWER_SIDE, LARGE_SIDE = 128, 96, 256
"""Pixels of a picture's longer side: usually, with more than ``MANY`` pictures, and for pictures also shown large."""
MANY, MOST, MOST_LARGE = 2500, 4500, 400
"""More than ``MANY`` pictures are smaller; there are at most ``MOST``, and ``MOST_LARGE`` large ones: about 17 MB."""


class Thumbnails:
    """The pictures of a page, numbered in the order in which the page asks for them.

    Args:
        images: columns image_id, path, width and height of all images.
        whites: see `cbir.collection.images.decode`.
    """

    def __init__(self, images: pd.DataFrame, whites: Whites | None = None) -> None:
        self._whites = whites
        columns = ["image_id", "path", "width", "height"]
        self._files = {row[0]: row[1:] for row in images[columns].itertuples(index=False, name=None)}
        self._places: dict[str, int] = {}
        self._large: set[str] = set()

    def ask(self, image_id: str, large: bool = False) -> str:
        """Return the class of an image's picture; ``large`` if it is also shown large.

        Raises:
            KeyError: when there is no such image.
        """
        if image_id not in self._files:
            raise KeyError(image_id)
        if large:
            self._large.add(image_id)
        return f"i{self._places.setdefault(image_id, len(self._places))}"

    def style(self, workers: int = 1) -> str:
        """Return the style sheet of the classes, made by ``workers`` threads; the same pictures give the same text."""
        side = SIDE if len(self._places) <= MANY else FEWER_SIDE
        large = LARGE_SIDE if len(self._large) <= MOST_LARGE else side

        def rule(image_id: str) -> str:
            place = self._places[image_id]
            if place >= MOST:
                return f'.i{place}::before{{content:"left out: too many pictures"}}'
            return f".i{place}{_rule(self._picture(image_id, large if image_id in self._large else side))}"

        with ThreadPoolExecutor(workers) as pool:
            return "\n".join(pool.map(rule, self._places))

    def _picture(self, image_id: str, side: int) -> str:
        path, width, height = self._files[image_id]
        return pictures.picture(path, side, (int(width), int(height)), "JPEG", self._whites)


def _rule(picture: str) -> str:
    if not picture:
        return '::before{content:"picture cannot be read"}'
    return f"{{background-image:url({picture})}}"
