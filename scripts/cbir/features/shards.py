"""Encode images into shards keyed by content; rows that a shard already holds are reused."""

import hashlib
import logging
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection import ranges
from cbir.collection.images import Crop, ImageError, decode, read_bytes
from cbir.encoders import runtimes
from cbir.encoders.runtimes import Embed
from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import attributes, dataset, opened, texts, write_attributes, write_texts
from cbir.files.progress import Progress
from cbir.files.tables import read_csv, read_json

log = logging.getLogger("cbir")

# Number of rows after which unfinished work is saved.
_SAVE_ROWS = 1024


def encode_shard(
    images: pd.DataFrame,
    path: str | Path,
    fingerprint: str,
    dimension: int,
    size: tuple[int, int],
    batch: int,
    make_embed: Callable[[], Embed],
    workers: int,
    crop: Crop = "squash",
) -> int:
    """Write the features of ``images`` to the shard ``path``; only contents that it does not hold yet are encoded.

    Finished rows are saved in numbered files beside the shard, always whole batches. A run that was killed continues
    after the last of these files, and its result is bit for bit that of an uninterrupted run. Each thread holds the
    images of one batch in memory.

    Args:
        images: columns path and sha256, and possibly `ranges.WHITE`; several rows may have the same content. A row is
            reused for the same content with the same white.
        path: the shard, an HDF5 file with the datasets ``sha256`` (sorted) and ``features`` (n, dimension) float32, and
            the attributes ``fingerprint`` and ``features_sha256``. It has a dataset ``white``, int64 (n,), if one of
            its images does not state its range and is scaled by the range of others.
        fingerprint: of the encoder; rows of another encoder are not reused.
        dimension: length of a feature vector.
        size: (width, height) in pixels to which images are resized.
        batch: images per call of the network.
        make_embed: returns the function from images (n, height, width, 3) uint8 to features (n, dimension) float32,
            which must be thread-safe. It is called only if an image must be encoded, because it loads the network.
        workers: number of threads; each decodes and encodes one batch at a time.
        crop: how images are brought to the size, see `cbir.collection.images.decode`.

    Returns:
        The number of images that were encoded.

    Raises:
        InputError: when an image has changed since the collection was read, or a feature is not finite.
    """
    path = Path(path)
    wanted = dict(sorted(zip(images["sha256"], images["path"], strict=True)))
    whites = dict(zip(images["sha256"], ranges.whites_of(images), strict=True))
    parts = path.parent / f"{path.stem}.parts"
    sources = [path, *_finished(parts)]
    held = {source: contents(source, fingerprint) for source in sources}
    known = set().union(*(known_there.items() for known_there in held.values()))
    missing = [digest for digest in wanted if (digest, whites[digest]) not in known]
    for source, known_there in held.items():
        if source.exists() and not known_there and _holds_rows(source):
            log.info("%s is damaged, or of another encoder or version: its images are encoded again", source)
    log.info("%s: %d images, %d to encode, %d known", path, len(wanted), len(missing), len(wanted) - len(missing))
    if missing:
        embed = make_embed()
        progress = Progress("images encoded", len(missing))
        step = max(_SAVE_ROWS // batch, 1) * batch
        rows = [(wanted[digest], digest, whites[digest]) for digest in missing]
        batches = _embedded(rows, size, batch, embed, workers, crop)
        for start in range(0, len(missing), step):
            digests = missing[start : start + step]
            # Logged before the work, so that the log of a killed job shows the images that it was encoding.
            log.info(
                "%s: images %d to %d of %d, from %s on",
                *(path, start + 1, start + len(digests), len(missing), wanted[digests[0]]),
            )
            features = np.empty((len(digests), dimension), np.float32)
            for row in range(0, len(digests), batch):
                found = next(batches)
                features[row : row + batch] = found
                progress.advance(len(found))
            if not np.isfinite(features).all():
                bad = digests[int(np.argmax(~np.isfinite(features).all(axis=1)))]
                raise InputError(
                    f"The encoder gives no finite features for {wanted[bad]}: train it again or remove the image."
                )
            number = 1 + max((int(part.stem) for part in _finished(parts)), default=0)
            _write(parts / f"{number:06d}.h5", digests, whites, [features], fingerprint, dimension)
    filled = [source for source in (path, *_finished(parts)) if contents(source, fingerprint)]
    _write(path, list(wanted), whites, read_rows(filled, list(wanted), fingerprint, whites), fingerprint, dimension)
    shutil.rmtree(parts, ignore_errors=True)
    return len(missing)


def count_missing(manifest: str | Path, path: str | Path, about: str | Path, runtime: runtimes.Runtime) -> int:
    """Return how many contents `encode_shard` would encode; `sys.maxsize` if one of the files cannot be read.

    Args:
        manifest: CSV with the columns path and sha256, and possibly `ranges.WHITE`.
        path: the shard.
        about: the side file of the encoder, JSON.
        runtime: what runs the encoder.
    """
    try:
        listed = read_csv(manifest, ["sha256"])
        wanted = set(zip(listed["sha256"], ranges.whites_of(listed), strict=True))
        made = runtimes.fingerprint(read_json(about, {"fingerprint": str})["fingerprint"], runtime)
        with opened(path) as file:
            own = attributes(file, ["fingerprint"])["fingerprint"]
            held = _contents(file) if own == made else {}
        return len(wanted.difference(held.items()))
    # The files may not exist yet, and h5py raises many types of exception on damaged ones.
    except Exception:
        return sys.maxsize


def _finished(parts: Path) -> list[Path]:
    """Return the saved parts in order, without the temporary file that a killed run may have left."""
    return sorted(part for part in parts.glob("*.h5") if part.stem.isdecimal())


def _embedded(
    rows: list[tuple[str, str, int]], size: tuple[int, int], batch: int, embed: Embed, workers: int, crop: Crop
) -> Iterator[NDArray[np.float32]]:
    """Yield the features of images, batch by batch in order.

    Each thread takes a batch from the files to the features. Separate threads for decoding and for the network would
    wait for each other and compete for cores.
    """
    upcoming = iter([rows[start : start + batch] for start in range(0, len(rows), batch)])

    def work(chosen: list[tuple[str, str, int]]) -> NDArray[np.float32]:
        return embed(np.stack([_load_verified(*row, size, crop) for row in chosen]))

    with ThreadPoolExecutor(workers) as pool:
        # Two batches per thread, so that no thread is idle while the caller stores the features of the first batch.
        ahead = deque(pool.submit(work, chosen) for chosen in islice(upcoming, 2 * workers))
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(work, chosen) for chosen in islice(upcoming, 1))
        finally:
            for future in ahead:
                future.cancel()


def _load_verified(path: str, digest: str, white: int, size: tuple[int, int], crop: Crop) -> NDArray[np.uint8]:
    try:
        data = read_bytes(path)
        if hashlib.sha256(data).hexdigest() == digest:
            return np.asarray(decode(data, size, crop, ranges.of_one(white)))
    except ImageError as error:
        log.debug("%s: %s", path, error)
    raise InputError(f"The image {path} has changed since the collection was read: run again.")


def contents(path: Path, fingerprint: str) -> dict[str, int]:
    """Return the content hashes of a shard, each with its white (see `ranges.whites_of`), by row.

    The result is empty if the shard is damaged or of another encoder.
    """
    try:
        with opened(path) as file:
            about = attributes(file, ["fingerprint", "features_sha256"])
            if about["fingerprint"] != fingerprint:
                return {}
            found, features = _contents(file), dataset(file, "features", np.float32, 2)
            check = hashlib.sha256()
            for row in range(0, len(features), _SAVE_ROWS):
                check.update(features[row : row + _SAVE_ROWS].tobytes())
            whole = len(features) == len(found) and check.hexdigest() == about["features_sha256"]
            return found if whole else {}
    # h5py raises many types of exception on damaged files.
    except Exception:
        return {}


def _contents(file: h5py.File) -> dict[str, int]:
    digests = list(texts(dataset(file, "sha256", "S", 1)))
    whites = dataset(file, ranges.WHITE, np.int64, 1)[()].tolist() if ranges.WHITE in file else [0] * len(digests)
    return dict(zip(digests, whites, strict=True))


def _write(
    path: Path,
    digests: list[str],
    whites: Mapping[str, int],
    blocks: Iterator[NDArray[np.float32]] | list[NDArray[np.float32]],
    fingerprint: str,
    dimension: int,
) -> None:
    size = len(digests) * (4 * dimension + 64) + HDF5_OVERHEAD
    with atomic(path, size) as temporary, h5py.File(temporary, "w") as file:
        write_texts(file, "sha256", digests)
        chosen = [whites[digest] for digest in digests]
        if any(chosen):
            file.create_dataset(ranges.WHITE, data=np.array(chosen, np.int64))
        features = file.create_dataset("features", (len(digests), dimension), np.float32)
        row, check = 0, hashlib.sha256()
        for block in blocks:
            features[row : row + len(block)] = block
            check.update(block.tobytes())
            row += len(block)
        write_attributes(file, {"fingerprint": fingerprint, "features_sha256": check.hexdigest()})


def read_rows(
    shards: list[Path], digests: list[str], fingerprint: str, whites: Mapping[str, int] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Yield the features of ``digests``, in order, in blocks of (at most 1024, d) float32.

    ``whites`` says by which white each content must have been read; without it the shards hold each content once.

    Raises:
        InputError: when a shard is damaged or of another encoder, or an image is in none.
    """
    places: dict[str, tuple[Path, int]] = {}
    for shard in shards:
        found = contents(shard, fingerprint)
        if not found and _holds_rows(shard):
            raise InputError(f"The encoded shard {shard} is damaged or of another encoder: remove it and run again.")
        places.update(
            {
                digest: (shard, row)
                for row, (digest, white) in enumerate(found.items())
                if whites is None or whites.get(digest) == white
            }
        )
    for digest in digests:
        if digest not in places:
            raise InputError(f"No encoded shard holds the image with sha256 {digest}: remove the shards and run again.")
    for start in range(0, len(digests), _SAVE_ROWS):
        chunk = digests[start : start + _SAVE_ROWS]
        block: NDArray[np.float32] | None = None
        for shard in shards:
            here = sorted((places[digest][1], at) for at, digest in enumerate(chunk) if places[digest][0] == shard)
            if not here:
                continue
            # h5py requires ascending row numbers without repetition, and a content may occur twice.
            rows = sorted({row for row, _ in here})
            position = {row: index for index, row in enumerate(rows)}
            try:
                # `contents` has checked the whole file. Checking it again for each block would take too long.
                with h5py.File(shard, "r") as file:
                    values = dataset(file, "features", np.float32, 2)[rows]
            # h5py raises many types of exception on damaged files.
            except Exception as error:
                raise InputError(f"The encoded shard {shard} is damaged ({error}): remove it and run again.") from error
            if block is None:
                block = np.empty((len(chunk), values.shape[1]), np.float32)
            for row, at in here:
                block[at] = values[position[row]]
        assert block is not None
        yield block


def _holds_rows(path: Path) -> bool:
    try:
        with opened(path) as file:
            return len(dataset(file, "sha256", "S", 1)) > 0
    # h5py raises many types of exception on damaged files.
    except Exception:
        return True
