"""Measure the search for near-duplicates: how many copies it finds, and how many different pictures it confuses.

    python benchmarks/copies.py FOLDER [COUNT]

COUNT is how many pictures of each kind there are, of photographs twice as many; 20 if it is not given. FOLDER holds
photographs, one sub-folder a category. Besides them five kinds of drawings are made, many of one layout each: filled-in
forms, shirts on white, line charts, pages of text and well plates. The first column counts different pairs that are
near by their hashes alone, the second those that their pixels confirm.
"""

import io
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from peers import table
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cbir.collection import copies
from cbir.collection.near_duplicates import groups
from cbir.collection.perceptual import HASH_COLUMNS, hashes
from scenes import chart, form, shirt

DISTANCE = 72


def page(size: tuple[int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", size, "white")
    return image, ImageDraw.Draw(image)


def word(draw: np.random.Generator, letters: int) -> str:
    return "".join(draw.choice(list("etaoinshrdlu"), letters))


def text(number: int) -> Image.Image:
    draw, (image, pen) = np.random.default_rng([4, number]), page((620, 877))
    for y in range(60, 820, 16):
        pen.text((50, y), " ".join(word(draw, int(draw.integers(2, 9))) for _ in range(14))[:84], fill=0)
    return image


def plate(number: int) -> Image.Image:
    draw, (image, pen) = np.random.default_rng([5, number]), page((600, 420))
    for row, column in itertools.product(range(8), range(12)):
        value = int(draw.integers(40, 255))
        place = (30 + column * 46, 30 + row * 46, 66 + column * 46, 66 + row * 46)
        pen.ellipse(place, fill=(value, int(value * 0.6), 200), outline=(60, 60, 60), width=2)
    return image


def compressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=40)
    return Image.open(stream).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((round(width * 0.025), round(height * 0.025), round(width * 0.975), round(height * 0.975)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a third": lambda image: image.resize((image.width // 3, image.height // 3)),
    "JPEG 40": compressed,
    "+20 %": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "-20 %": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "cropped 5 %": cropped,
    "mirrored": ImageOps.mirror,
}


def grouped(pictures: dict[str, Image.Image], confirmed: bool) -> list[set[str]]:
    """Return the groups of near-duplicates."""
    rows = [[name, *vars(hashes(image)).values()] for name, image in pictures.items()]
    small = {name: copies.thumbnail(image) for name, image in pictures.items()}

    def confirm(pairs: list[tuple[str, str, bool]]) -> np.ndarray:
        return np.array([copies.are_copies(small[one], small[other], mirrored) for one, other, mirrored in pairs], bool)

    found = groups(pd.DataFrame(rows, columns=["sha256", *HASH_COLUMNS]), DISTANCE, confirm if confirmed else None)
    return [set(part["sha256"]) for _, part in found.groupby("group")]


def wrong(pictures: dict[str, Image.Image], confirmed: bool) -> str:
    """Return the share of pairs of different pictures that are in one group."""
    together = sum(len(group) * (len(group) - 1) // 2 for group in grouped(pictures, confirmed))
    return f"{together / (len(pictures) * (len(pictures) - 1) // 2):.2%}"


def main() -> None:
    """Print the table."""
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    # Of a third of less there are fewer pixels than hashes need.
    photographs = (Image.open(path).convert("RGB") for path in sorted(Path(sys.argv[1]).glob("*/*"))[::7])
    large = itertools.islice((image for image in photographs if min(image.size) >= 192), 2 * count)
    kinds = {"photographs": list(large)}
    for make in (form, shirt, chart, text, plate):
        kinds[f"{make.__name__}s"] = [make(number) for number in range(count)]
    lines = []
    for kind, made in kinds.items():
        pictures = {f"{number:03}": image for number, image in enumerate(made)}
        cells = [kind, str(len(pictures)), wrong(pictures, False), wrong(pictures, True)]
        for copy in COPIES.values():
            copied = {f"{name} copy": copy(image) for name, image in pictures.items()}
            together = grouped(pictures | copied, True)
            cells.append(
                f"{np.mean([any({name, f'{name} copy'} <= group for group in together) for name in pictures]):.0%}"
            )
        lines.append(cells)
        print(f"{kind} done", file=sys.stderr, flush=True)
    table(["pictures", "number", "different, by hashes", "different, by pixels", *COPIES], lines)


if __name__ == "__main__":
    main()
