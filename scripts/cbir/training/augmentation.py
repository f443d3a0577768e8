"""Augmentation: random flips, crops and changes of colour of training images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cbir.training.settings import AugmentSettings


def augment(image: NDArray[np.uint8], settings: AugmentSettings, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a randomly varied copy of an image.

    Args:
        image: uint8 (height, width, 3).
        settings: the extent of the variation.
        generator: source of random numbers; each call draws the same number of them, whatever the settings.

    Returns:
        An array of the same shape and type.
    """
    mirrored = generator.random() < 0.5
    area, left, top = generator.random(3)
    brightness, contrast, saturation = (1 + settings.colour * generator.uniform(-1, 1, 3)).astype(np.float32)
    if settings.flip and mirrored:
        image = image[:, ::-1]
    if settings.crop:
        image = _crop(image, 1 - settings.crop * area, left, top)
    if settings.colour:
        image = _recolour(image, brightness, contrast, saturation)
    return np.ascontiguousarray(image)


def _crop(image: NDArray[np.uint8], area: float, left: float, top: float) -> NDArray[np.uint8]:
    """Crop a box with the share ``area`` of the image, and resize it to the size of the image."""
    height, width = image.shape[:2]
    x, y = width * np.sqrt(area), height * np.sqrt(area)
    box = ((width - x) * left, (height - y) * top, (width - x) * left + x, (height - y) * top + y)
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _recolour(
    image: NDArray[np.uint8], brightness: np.float32, contrast: np.float32, saturation: np.float32
) -> NDArray[np.uint8]:
    pixels = image.astype(np.float32) * brightness
    pixels = (pixels - pixels.mean()) * contrast + pixels.mean()
    # Luma weights of ITU-R BT.601.
    grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    pixels = (pixels - grey[..., None]) * saturation + grey[..., None]
    rounded: NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return rounded
