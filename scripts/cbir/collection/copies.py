"""Confirm by their pixels that two images are copies of one picture, which their perceptual hashes only suggest.

Hashes describe a layout: all filled-in forms of one kind have nearly the same. Here one image is laid over the other,
as it is or mirrored, scaled and shifted so that they fit best (Lucas and Kanade, 1981, with brightness and contrast
among the unknowns), and then compared block by block, by correlation. A copy that was resized, compressed, brightened
or cropped agrees in nearly all blocks that show something; another form of the same layout does not.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cbir.collection import images
from cbir.collection.images import ImageError
from cbir.files.errors import InputError
from cbir.files.progress import Progress

Grey = NDArray[np.float32]
Fit = NDArray[np.float64]
"""Scaling along rows and columns, and shift along them as a share of the side."""

# Pixels along the longer side at which images are compared: enough to distinguish single letters of a scanned page.
SIDE = 384
# A block of 8 x 8 pixels; below this standard deviation, of 255, it shows nothing.
_BLOCK = 8
_PLAIN = 6.0
# Of the blocks that show something, this share must differ by less than this part of what they show. The others may be
# a mark or a caption. Measured: copies of 62 photographs and of drawings differ by up to 0.33 (one crop by 0.46), other
# filled-in forms of one layout by 0.37 or more. benchmarks/copies.py counts what is found and what is mistaken.
_SHARE, _DIFFERENCE = 0.9, 0.34
# Where nearly all of an image shows something, as in a photograph of leaves, more of it may be covered: nothing else
# agrees in as much detail.
_DENSE, _DENSE_SHARE, _DENSE_DIFFERENCE = 0.75, 0.75, 0.26
# What differs by more than so many times that is not for lack of sharpness.
_HOPELESS = 2.7

# Sides of the coarser images by which one image is fitted to the other, and steps on each.
_LEVELS = (48, 96, 192, 384)
_STEPS = 12
# The side at which it is decided whether to go on.
_DECIDING = 192
# The correlation below which coarse images are not of one picture.
_LIKE = 0.8
# The largest scaling and shift, as shares of the side: what needs more is another picture.
_MOST = 0.2
# Blur that both images get, in pixels, and what the sharper one gets besides: what was smaller once is less sharp.
_BLUR = 0.8
_SHARPER = (0.4, 0.6, 0.8, 1.0)
# By how much the contrast of a block may be above or below the usual one between the two images.
_CONTRAST = 5.0

_IDENTITY: Fit = np.array([1.0, 1.0, 0.0, 0.0])
# What a crop of 5 % does, of the one image or of the other, on both sides or on one.
_STARTS = [
    np.array([scale, scale, down, across])
    for scale in (1.0, 0.97, 1.03, 0.94, 1.06, 0.9, 1.1)
    for down in (0.0, -0.0125, 0.0125, -0.025, 0.025)
    for across in (0.0, -0.0125, 0.0125, -0.025, 0.025)
]


# Thumbnails of 150 kB that are kept for further comparisons.
_KEPT = 1000


def confirm(pairs: Sequence[tuple[str, str, bool]], paths: Mapping[str, str], workers: int = 1) -> NDArray[np.bool_]:
    """Tell which pairs of images are copies of one picture.

    Args:
        pairs: two contents (sha256), and whether the second one is mirrored; pairs that share the first one should
            stand next to each other, since few images are kept in memory.
        paths: the file of each content.
        workers: threads.

    Returns:
        A truth value for each pair.

    Raises:
        InputError: when a file can no longer be read.
    """
    kept: OrderedDict[str, Image.Image] = OrderedDict()
    lock = Lock()
    progress = Progress("likely copies compared", len(pairs))

    def small(digest: str) -> Image.Image:
        with lock:
            if digest in kept:
                kept.move_to_end(digest)
                return kept[digest]
        try:
            made = thumbnail(images.decode(images.read_bytes(paths[digest])))
        except ImageError as error:
            raise InputError(f"The image {paths[digest]} has changed ({error}): put it back, or run again.") from None
        with lock:
            kept[digest] = made
            if len(kept) > _KEPT:
                kept.popitem(last=False)
        return made

    def compare(pair: tuple[str, str, bool]) -> bool:
        found = are_copies(small(pair[0]), small(pair[1]), pair[2])
        progress.advance()
        return found

    with ThreadPoolExecutor(workers) as pool:
        return np.fromiter(pool.map(compare, pairs), bool, len(pairs))


def thumbnail(image: Image.Image) -> Image.Image:
    """Return what `are_copies` needs of an image: grey, at most ``SIDE`` pixels a side."""
    grey = image.convert("L")
    grey.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    return grey


def are_copies(one: Image.Image, other: Image.Image, mirrored: bool) -> bool:
    """Tell whether two images are copies of one picture: resized, compressed, brightened or slightly cropped.

    Args:
        one: an image's `thumbnail`.
        other: another one's.
        mirrored: compare with the mirror image (left to right) of the other.
    """
    # The smaller one decides: details that only one of them can have are no difference.
    size = (min(one.width, other.width), min(one.height, other.height))
    a, b = (np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32) for image in (one, other))
    if mirrored:
        b = np.ascontiguousarray(b[:, ::-1])
    # Thin lines are fitted well in one direction only.
    return any(_differs_by(x, y, fit) < 1 for x, y in ((a, b), (b, a)) for fit in _fits(x, y))


def _fits(a: Grey, b: Grey) -> Iterator[Fit]:
    yield _IDENTITY
    fit = _IDENTITY
    for level, side in enumerate(_LEVELS):
        factor = min(side / max(a.shape), 1.0)
        shape = tuple(max(round(length * factor), 8) for length in a.shape)
        small_a, small_b = (_smaller(image, shape) for image in (a, b))
        if level == 0:
            likeness = [_likeness(small_a, *_moved(small_b, start, order=1)) for start in _STARTS]
            if max(likeness) < _LIKE:
                return
            fit = _STARTS[int(np.argmax(likeness))]
        for _ in range(_STEPS):
            step = _step(small_a, small_b, fit)
            fit = fit + step
            if np.abs(fit - _IDENTITY).max() > _MOST:
                return
            if np.abs(step).max() < 0.02 / max(shape):
                break
        # What is far from agreeing in coarse images will not agree in fine ones, which take most of the time.
        if side == _DECIDING and _compared(small_a, *_moved(small_b, fit, order=1)) >= _HOPELESS:
            return
        if factor == 1:
            break
    yield fit


def _smaller(image: Grey, shape: tuple[int, ...]) -> Grey:
    resized = Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BOX)
    return ndimage.gaussian_filter(np.asarray(resized, np.float32), 1)


def _moved(image: Grey, fit: Fit, order: int = 3) -> tuple[Grey, NDArray[np.bool_]]:
    """Return the image under the fit, and where that lies inside the image."""
    shape = np.array(image.shape)
    if np.array_equal(fit, _IDENTITY):
        return image, np.ones(image.shape, bool)
    # From a place in the result to one in the image, about the centre.
    centre = (shape - 1) / 2
    offset = centre + fit[2:] * shape - fit[:2] * centre
    rows, columns = (fit[axis] * np.arange(shape[axis]) + offset[axis] for axis in (0, 1))
    inside = ((rows >= 0) & (rows <= shape[0] - 1))[:, None] & ((columns >= 0) & (columns <= shape[1] - 1))
    return ndimage.affine_transform(image, fit[:2], offset, order=order, mode="nearest"), inside


def _likeness(a: Grey, b: Grey, inside: NDArray[np.bool_]) -> float:
    one, other = a[inside] - a[inside].mean(), b[inside] - b[inside].mean()
    return float(one @ other / max(np.sqrt((one @ one) * (other @ other)), 1e-9))


def _step(a: Grey, b: Grey, fit: Fit) -> Fit:
    """Return the change of the fit by which the moved ``b`` comes closest to ``a``, to first order."""
    moved, inside = _moved(b, fit, order=1)
    height, width = a.shape
    down, across = np.gradient(moved)
    y, x = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)
    # moved + slopes @ step = contrast * a + brightness
    unknown = (down * y * height, across * x * width, down * height, across * width, -a, -np.ones_like(a))
    slopes = np.stack([np.broadcast_to(values, a.shape)[inside] for values in unknown], axis=-1).astype(np.float64)
    squares = slopes.T @ slopes
    return np.linalg.solve(squares + 1e-6 * np.trace(squares) * np.eye(6), -slopes.T @ moved[inside])[:4]


def _differs_by(a: Grey, b: Grey, fit: Fit) -> float:
    """Return by how much two images differ, as a part of what copies may differ by."""
    moved, inside = _moved(b, fit)
    if inside.mean() < 0.5:
        return np.inf
    found = _compared(a, moved, inside)
    if 1 <= found < _HOPELESS:
        found = min(
            found,
            *(_compared(a, moved, inside, blur_a=blur) for blur in _SHARPER),
            *(_compared(a, moved, inside, blur_b=blur) for blur in _SHARPER),
        )
    return found


def _compared(a: Grey, b: Grey, inside: NDArray[np.bool_], blur_a: float = 0.0, blur_b: float = 0.0) -> float:
    x, y = (
        _blocks(ndimage.gaussian_filter(image, np.hypot(_BLUR, blur))) for image, blur in ((a, blur_a), (b, blur_b))
    )
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    shown_x, shown_y = (np.sqrt((values**2).mean(axis=1)) for values in (x, y))
    whole = _blocks(inside).all(axis=1)
    textured = whole & (np.maximum(shown_x, shown_y) > _PLAIN)
    if not textured.any():
        return np.inf
    # In a brightness and a contrast of its own, since what is cut off at white changes both from place to place.
    alike = (x * y).mean(axis=1) / np.maximum(shown_x * shown_y, 1e-9)
    contrast = shown_y / np.maximum(shown_x, 1e-9)
    usual = np.median(contrast[textured])
    odd = (contrast > _CONTRAST * usual) | (contrast * _CONTRAST < usual)
    left = np.where(odd, 1.0, np.sqrt(1 - np.clip(alike, 0, 1) ** 2))
    found = np.quantile(left[textured], _SHARE) / _DIFFERENCE
    if textured.sum() >= _DENSE * whole.sum():
        found = min(found, np.quantile(left[textured], _DENSE_SHARE) / _DENSE_DIFFERENCE)
    return float(found)


def _blocks(image: NDArray) -> NDArray:
    height, width = (length // _BLOCK for length in image.shape)
    parts = image[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, width, _BLOCK)
    return parts.swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)
