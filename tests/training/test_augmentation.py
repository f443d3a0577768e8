import numpy as np
import pytest

from cbir.training.augmentation import augment
from cbir.training.settings import AugmentSettings

NOTHING = AugmentSettings(flip=False, crop=0, colour=0)
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def variants(settings: AugmentSettings, image: np.ndarray = PICTURE, count: int = 40) -> list[np.ndarray]:
    return [augment(image, settings, np.random.default_rng(seed)) for seed in range(count)]


def test_without_options_images_are_unchanged() -> None:
    assert all(np.array_equal(varied, PICTURE) for varied in variants(NOTHING))


def test_flip_mirrors_left_to_right_about_half_of_the_time() -> None:
    mirrored = [np.array_equal(varied, PICTURE[:, ::-1]) for varied in variants(AugmentSettings(True, 0, 0))]
    same = [np.array_equal(varied, PICTURE) for varied in variants(AugmentSettings(True, 0, 0))]
    assert sum(mirrored) + sum(same) == 40
    assert 10 <= sum(mirrored) <= 30


def test_crop_keeps_the_size_and_cuts_at_most_the_configured_share() -> None:
    # A ramp of slope 1 a pixel: the range of the values is the width of the cropped box.
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3))
    widths = []
    for varied in variants(AugmentSettings(False, 0.36, 0), ramp):
        assert varied.shape == ramp.shape
        widths.append(int(varied.max()) - int(varied.min()) + 1)
    # sqrt(1 - 0.36) = 0.8 of the side at least.
    assert 158 <= min(widths) <= 175
    assert 185 <= max(widths) <= 200


def test_colour_of_a_grey_picture_stays_grey_and_within_the_amount() -> None:
    grey = np.full((4, 4, 3), 100, dtype=np.uint8)
    values = []
    for varied in variants(AugmentSettings(False, 0, 0.2), grey):
        assert (varied == varied[0, 0, 0]).all()
        values.append(int(varied[0, 0, 0]))
    # Contrast and saturation do not change a uniform grey; brightness multiplies by 0.8 to 1.2.
    assert 80 <= min(values) < 90 and 110 < max(values) <= 120


def test_bright_colours_are_clipped_and_do_not_wrap() -> None:
    white = np.full((4, 4, 3), 250, dtype=np.uint8)
    assert min(varied.min() for varied in variants(AugmentSettings(False, 0, 0.1), white)) >= 224


@pytest.mark.parametrize("settings", [AugmentSettings(True, 0.3, 0.2), AugmentSettings(True, 0.5, 0.5)])
def test_the_same_generator_gives_the_same_picture(settings: AugmentSettings) -> None:
    first, again = variants(settings, count=5), variants(settings, count=5)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_the_given_picture_is_not_changed() -> None:
    before = PICTURE.copy()
    variants(AugmentSettings(True, 0.5, 0.5))
    np.testing.assert_array_equal(PICTURE, before)
