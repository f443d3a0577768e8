"""Copies are recognised by their pixels."""

from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageOps

from cbir.collection import copies
from cbir.collection.copies import are_copies, thumbnail
from cbir.files.errors import InputError
from scenes import COPIES, chart, form, scene, shirt

PICTURES = {"scene": scene, "form": form, "shirt": shirt, "chart": chart}


def cropped(image: Image.Image) -> Image.Image:
    """Return an image without 5 % of its width and height."""
    width, height = image.size
    return image.crop((round(0.01 * width), round(0.04 * height), round(0.96 * width), round(0.99 * height)))


OF_ALL = {
    **{name: COPIES[name] for name in ("compressed", "darker", "more contrast", "grey", "mirrored")},
    "cropped": cropped,
    "a third": lambda image: image.resize((image.width // 3, image.height // 3)),
    "a fifth brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_of_a_photograph_is_recognised(kind: str) -> None:
    for number in range(2):
        require_copies(scene(number), COPIES[kind](scene(number)), "mirrored" in kind)


@pytest.mark.parametrize("kind", OF_ALL)
@pytest.mark.parametrize("picture", ["form", "shirt", "chart"])
def test_a_copy_of_a_drawing_is_recognised(picture: str, kind: str) -> None:
    require_copies(PICTURES[picture](0), OF_ALL[kind](PICTURES[picture](0)), "mirrored" in kind)


def require_copies(image: Image.Image, copy: Image.Image, mirrored: bool) -> None:
    for one, other in ((image, copy), (copy, image)):
        assert are_copies(thumbnail(one), thumbnail(other), mirrored)


@pytest.mark.parametrize("picture", PICTURES)
def test_other_drawings_of_the_same_layout_are_no_copies(picture: str) -> None:
    smalls = [thumbnail(PICTURES[picture](number)) for number in range(3)]
    copied = [thumbnail(COPIES["compressed"](PICTURES[picture](number))) for number in range(3)]
    for number in range(2):
        assert not are_copies(smalls[number], smalls[number + 1], mirrored=False)
        assert not are_copies(smalls[number], copied[number + 1], mirrored=False)


def test_a_mirrored_copy_is_recognised_as_mirrored_only() -> None:
    one, other = thumbnail(scene(0)), thumbnail(ImageOps.mirror(scene(0)))
    assert are_copies(one, other, mirrored=True)
    assert not are_copies(one, other, mirrored=False)
    assert not are_copies(one, one, mirrored=True)


def test_plain_images_are_not_copies() -> None:
    plain = thumbnail(Image.new("RGB", (200, 200), "navy"))
    assert not are_copies(plain, plain, mirrored=False)


def test_pairs_are_confirmed_by_their_files(tmp_path: Path) -> None:
    pictures = {"a": scene(0), "b": ImageOps.mirror(scene(0)), "c": scene(1)}
    paths = {name: str(tmp_path / f"{name}.png") for name in pictures}
    for name, image in pictures.items():
        image.save(paths[name])
    pairs = [("a", "b", True), ("a", "b", False), ("a", "c", False)]
    assert copies.confirm(pairs, paths, workers=2).tolist() == [True, False, False]
    assert copies.confirm([], paths).tolist() == []
    Path(paths["a"]).unlink()
    with pytest.raises(InputError, match="has changed"):
        copies.confirm(pairs, paths)
