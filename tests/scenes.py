"""Images with the statistics of photographs, drawings that share a layout, and copies of both, for near-duplicates."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps


def scene(number: int, side: int = 200) -> Image.Image:
    """Return noise whose energy falls with frequency as in natural images; each number gives another image."""
    return _scene(number, side).copy()


@cache
def _scene(number: int, side: int) -> Image.Image:
    random = np.random.default_rng(number)
    across, down = np.meshgrid(np.fft.fftfreq(side) * side, np.fft.fftfreq(side) * side)
    # 1 / f in amplitude (Field, 1987).
    amplitude = 1 / np.maximum(np.hypot(across, down), 1)
    # Only low frequencies, so that the same number gives the same picture in every size.
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


def form(number: int) -> Image.Image:
    """Return a filled-in form; each number has other entries in the same layout."""
    draw = np.random.default_rng(number)
    page = Image.new("L", (480, 640), 255)
    pen = ImageDraw.Draw(page)
    pen.rectangle((30, 30, 200, 90), fill=30)
    for y in range(150, 600, 30):
        pen.line((30, y, 450, y), fill=120)
        pen.text((40, y + 5), " ".join("".join(draw.choice(list("abcdefgh"), 6)) for _ in range(3)), fill=0)
        pen.text((380, y + 5), f"{draw.uniform(1, 999):.2f}", fill=0)
    return page.convert("RGB")


def shirt(number: int) -> Image.Image:
    draw = np.random.default_rng(number)
    picture = Image.new("RGB", (300, 300), "white")
    pen = ImageDraw.Draw(picture)
    outline = [(90, 50), (210, 50), (280, 110), (245, 145), (215, 120), (215, 270), (85, 270), (85, 120), (55, 145)]
    moved = [(x + int(draw.integers(-7, 7)), y + int(draw.integers(-7, 7))) for x, y in outline]
    pen.polygon(moved, fill=tuple(int(value) for value in draw.integers(0, 220, 3)))
    x, y = (int(value) for value in draw.integers(110, 190, 2))
    pen.ellipse((x - 20, y - 20, x + 20, y + 20), fill=tuple(int(value) for value in draw.integers(0, 255, 3)))
    return picture


def chart(number: int) -> Image.Image:
    draw = np.random.default_rng(number)
    page = Image.new("RGB", (480, 360), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle((45, 20, 460, 320), outline="black", width=2)
    for line in range(6):
        pen.line((45, 20 + line * 60, 460, 20 + line * 60), fill=(200, 200, 200))
        pen.text((15, 15 + line * 60), str(100 - 20 * line), fill=0)
    heights = np.clip(170 + np.cumsum(draw.normal(0, 18, 42)), 25, 315)
    pen.line([(45 + 10 * place, float(y)) for place, y in enumerate(heights)], fill=(31, 119, 180), width=3)
    return page


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
