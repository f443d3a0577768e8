"""Pictures with the structure of photographs, for tests of perceptual hashes."""

from functools import cache

import numpy as np
from PIL import Image


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
