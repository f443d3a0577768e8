"""Pictures with the structure of photographs, and copies of them, for tests of near-duplicates."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def scene(number: int, side: int = 200) -> Image.Image:
    """Smooth noise whose energy falls with frequency, as that of natural images does; another one for each number."""
    return _scene(number, side).copy()


@cache
def _scene(number: int, side: int) -> Image.Image:
    random = np.random.default_rng(number)
    across, down = np.meshgrid(np.fft.fftfreq(side) * side, np.fft.fftfreq(side) * side)
    # 1 / f in amplitude (Field, 1987).
    amplitude = 1 / np.maximum(np.hypot(across, down), 1)
    # Low frequencies alone, so that a larger one is the same picture.
    channels = []
    for _ in range(3):
        spectrum = np.zeros((side, side), complex)
        low = 32
        part = random.normal(size=(2 * low, 2 * low)) + 1j * random.normal(size=(2 * low, 2 * low))
        rows = np.r_[0:low, -low:0]
        spectrum[np.ix_(rows, rows)] = part
        values = np.fft.ifft2(spectrum * amplitude).real
        channels.append(np.clip(128 + 45 * (values - values.mean()) / values.std(), 0, 255))
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def compressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=20)
    return Image.open(stream)


def marked(image: Image.Image) -> Image.Image:
    copy = image.copy()
    copy.paste("white", (5, 170, 70, 190))
    return copy


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half": lambda image: image.resize((100, 100)),
    "enlarged": lambda image: image.resize((500, 500)),
    "stretched": lambda image: image.resize((300, 180)),
    "compressed": compressed,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "cropped": lambda image: image.crop((4, 4, 196, 196)),
    "cropped on one side": lambda image: image.crop((4, 0, 200, 200)),
    "marked": marked,
    "mirrored": ImageOps.mirror,
    "mirrored and half": lambda image: ImageOps.mirror(image).resize((100, 100)),
}
