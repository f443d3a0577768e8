import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from cbir.collection.perceptual import HASH_COLUMNS, Hashes, hashes, is_hashes
from scenes import scene


def test_the_hashes_equal_those_of_imagehash() -> None:
    # An image of 200 pixels is not reduced before.
    image = scene(0)
    found = hashes(image)
    mirrored = ImageOps.mirror(image)
    assert list(vars(found)) == HASH_COLUMNS
    assert found.phash == str(imagehash.phash(image, 16))
    assert found.dhash == str(imagehash.dhash(image, 16))
    assert found.phash_mirrored == str(imagehash.phash(mirrored, 16))
    assert found.dhash_mirrored == str(imagehash.dhash(mirrored, 16))


def test_reducing_the_image_before_changes_few_bits() -> None:
    image = scene(1, side=1000)
    found = hashes(image)
    assert imagehash.hex_to_hash(found.phash) - imagehash.phash(image, 16) <= 6
    assert imagehash.hex_to_hash(found.dhash) - imagehash.dhash(image, 16) <= 6


@pytest.mark.parametrize("size", [(63, 400), (400, 63), (32, 32), (1, 1)])
def test_small_images_are_not_compared(size: tuple[int, int]) -> None:
    assert hashes(scene(0).resize(size)) == Hashes()
    assert hashes(scene(0).resize((64, 64))) != Hashes()


def test_uniform_images_are_not_compared() -> None:
    assert hashes(Image.new("RGB", (200, 200), "navy")) == Hashes()
    # A standard deviation of 2 grey levels.
    noise = np.random.default_rng(0).normal(128, 2, (200, 200)).round().astype(np.uint8)
    assert hashes(Image.fromarray(noise).convert("RGB")) == Hashes()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([""] * 4, True),
        (["0f" * 32] * 4, True),
        (["0f" * 32] * 3, False),
        (["0f" * 32] * 3 + [""], False),
        (["0f" * 31 + "xx"] * 4, False),
        (["0F" * 32] * 4, False),
        ([5] * 4, False),
        ("0f", False),
        (None, False),
    ],
)
def test_only_four_valid_or_four_empty_hashes_are_hashes(value: object, expected: bool) -> None:
    assert is_hashes(value) is expected
