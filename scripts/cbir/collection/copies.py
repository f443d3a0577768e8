"""Compare the pixels of two images with similar perceptual hashes, to confirm that they are copies of one picture.

Perceptual hashes describe the layout of an image, so that two different filled-in forms of one kind have nearly the
same hash. This module registers one image to the other (itself or its mirror image) by scaling and translation, with
the method of Lucas and Kanade (1981), where brightness and contrast are further unknowns. It then compares the two
block by block, by correlation. A copy that was resized, compressed, brightened or cropped agrees in nearly all textured
blocks; another form of the same layout does not.
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
"""Float64 (4,): scale along rows and columns, and translation along both as a share of the image's side."""

# Images are compared at this many pixels along the longer side: enough to distinguish letters of a scanned page.
SIDE = 384
# Side of a block in pixels. A block is textured if its standard deviation of brightness, of 255, exceeds `_PLAIN`.
_BLOCK = 8
_PLAIN = 6.0
# Two images are copies if the share `_SHARE` of the textured blocks differs by less than `_DIFFERENCE`, where the
# difference of two blocks is sqrt(1 - r^2) for their correlation r. The other blocks may hold a watermark or a caption.
# Measured: copies of 62 photographs and of drawings differ by up to 0.33 (one crop by 0.46), other filled-in forms of
# one layout by 0.37 or more. benchmarks/copies.py counts the copies that are found and the errors.
_SHARE, _DIFFERENCE = 0.9, 0.34
# Where at least the share `_DENSE` of an image's blocks is textured, as in a photograph of leaves, fewer blocks need to
# agree, but more closely: different pictures do not agree in so much detail.
_DENSE, _DENSE_SHARE, _DENSE_DIFFERENCE = 0.75, 0.75, 0.26
# A difference of this many times the limit cannot come from unequal sharpness, so no blur is tried.
_HOPELESS = 2.7

# Sides in pixels of the image pyramid, coarsest first, and the most iterations of the registration at each.
_LEVELS = (48, 96, 192, 384)
_STEPS = 12
# At this side the registration stops if the images differ too much.
_DECIDING = 192
# Images with a lower correlation at the coarsest level are different pictures.
_LIKE = 0.8
# The largest change of scale and the largest translation, as shares of the side: more means a different picture.
_MOST = 0.2
# Standard deviation in pixels of the Gaussian blur of both images, and the additional blurs that are tried on either,
# because an image that was enlarged is less sharp than the other.
_BLUR = 0.8
_SHARPER = (0.4, 0.6, 0.8, 1.0)
# The ratio of the contrasts of two blocks may differ from the median ratio of all blocks by at most this factor.
_CONTRAST = 5.0

_IDENTITY: Fit = np.array([1.0, 1.0, 0.0, 0.0])
# Initial guesses: the scales and translations that result if 5 % of either image is cropped on one side or on both.
_STARTS = [
    np.array([scale, scale, down, across])
    for scale in (1.0, 0.97, 1.03, 0.94, 1.06, 0.9, 1.1)
    for down in (0.0, -0.0125, 0.0125, -0.025, 0.025)
    for across in (0.0, -0.0125, 0.0125, -0.025, 0.025)
]


# The most thumbnails that are cached, of up to 150 kB each.
_KEPT = 1000


def confirm(pairs: Sequence[tuple[str, str, bool]], paths: Mapping[str, str], workers: int = 1) -> NDArray[np.bool_]:
    """Tell which pairs of images are copies of one picture.

    Args:
        pairs: the SHA-256 of two images, and whether the second one is mirrored; pairs with the same first image should
            be adjacent, because only `_KEPT` images are cached.
        paths: the file of each image by its SHA-256.
        workers: number of threads.

    Returns:
        Bool (pairs,): whether each pair are copies.

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
    """Return the image in grey, shrunk to at most ``SIDE`` pixels a side, as `are_copies` takes it."""
    grey = image.convert("L")
    grey.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    return grey


def are_copies(one: Image.Image, other: Image.Image, mirrored: bool) -> bool:
    """Tell whether two images are copies of one picture: resized, compressed, brightened or slightly cropped.

    Args:
        one: the `thumbnail` of one image.
        other: the `thumbnail` of the other image.
        mirrored: compare with the mirror image (left to right) of the other.
    """
    # At the size of the smaller one, because it lacks the finer details of the larger one.
    size = (min(one.width, other.width), min(one.height, other.height))
    a, b = (np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32) for image in (one, other))
    if mirrored:
        b = np.ascontiguousarray(b[:, ::-1])
    # Registration of images with thin lines may converge in one direction only.
    return any(_differs_by(x, y, fit) < 1 for x, y in ((a, b), (b, a)) for fit in _fits(x, y))


def _fits(a: Grey, b: Grey) -> Iterator[Fit]:
    """Yield the identity, then the registration of ``b`` to ``a`` unless it fails, coarse to fine."""
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
        # Images that differ much at this level will not agree at the finest one, which takes most of the time.
        if side == _DECIDING and _compared(small_a, *_moved(small_b, fit, order=1)) >= _HOPELESS:
            return
        if factor == 1:
            break
    yield fit


def _smaller(image: Grey, shape: tuple[int, ...]) -> Grey:
    resized = Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BOX)
    return ndimage.gaussian_filter(np.asarray(resized, np.float32), 1)


def _moved(image: Grey, fit: Fit, order: int = 3) -> tuple[Grey, NDArray[np.bool_]]:
    """Return the image transformed by the fit, and a mask of the pixels that come from inside the image."""
    shape = np.array(image.shape)
    if np.array_equal(fit, _IDENTITY):
        return image, np.ones(image.shape, bool)
    # The transform maps a position in the result to one in the image; it scales about the centre.
    centre = (shape - 1) / 2
    offset = centre + fit[2:] * shape - fit[:2] * centre
    rows, columns = (fit[axis] * np.arange(shape[axis]) + offset[axis] for axis in (0, 1))
    inside = ((rows >= 0) & (rows <= shape[0] - 1))[:, None] & ((columns >= 0) & (columns <= shape[1] - 1))
    return ndimage.affine_transform(image, fit[:2], offset, order=order, mode="nearest"), inside


def _likeness(a: Grey, b: Grey, inside: NDArray[np.bool_]) -> float:
    """Return the correlation of two images over the pixels of a mask."""
    one, other = a[inside] - a[inside].mean(), b[inside] - b[inside].mean()
    return float(one @ other / max(np.sqrt((one @ one) * (other @ other)), 1e-9))


def _step(a: Grey, b: Grey, fit: Fit) -> Fit:
    """Return the change of the fit that minimises the squared error between ``a`` and ``b``, to first order."""
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
    """Return the difference of ``a`` and ``b`` under a fit, divided by the most that copies differ by."""
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
    """Return the difference as `_differs_by` does, of two registered images with additional blur of either, in pixels.

    It is infinite where no block is textured.
    """
    x, y = (
        _blocks(ndimage.gaussian_filter(image, np.hypot(_BLUR, blur))) for image, blur in ((a, blur_a), (b, blur_b))
    )
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    shown_x, shown_y = (np.sqrt((values**2).mean(axis=1)) for values in (x, y))
    whole = _blocks(inside).all(axis=1)
    textured = whole & (np.maximum(shown_x, shown_y) > _PLAIN)
    if not textured.any():
        return np.inf
    # Each block has its own brightness and contrast, because clipping at white changes them locally.
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
    """Return the whole blocks of an image (height, width), each flattened, as (blocks, 64)."""
    height, width = (length // _BLOCK for length in image.shape)
    parts = image[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, width, _BLOCK)
    return parts.swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)
