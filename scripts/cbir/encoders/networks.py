"""Build, save and open encoders: a Keras network and a side file that describes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from cbir.encoders import architectures, weights
from cbir.encoders.options import Options, preparation
from cbir.encoders.pooling import pooled
from cbir.files import archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json
from cbir.files.tables import read_json, write_json

_NONE = Options()
_CROPS = {"squash": "squash", "centre": "resize of the largest centred part of the same proportions"}


def preprocessing(architecture: str, size: tuple[int, int] | None = None, options: Options = _NONE) -> dict[str, Any]:
    """Return how images and features are processed around the network; this is part of an encoder's fingerprint.

    Args:
        architecture: an entry of `cbir.encoders.architectures`.
        size: (width, height) in pixels; None for the default of the architecture.
        options: of the encoder.
    """
    entry = architectures.REGISTRY.get_entry(architecture)
    steps = {
        "decode": f"Pillow RGB, EXIF upright, on white, JPEG draft, bilinear {_CROPS[options.crop]}",
        "size": list(size or entry.SIZE),
        "scale": entry.PREPROCESSING,
        "network": "batch normalisation folded into convolutions",
    }
    # Unused options are left out, so that they do not change the fingerprints of existing encoders.
    if options.pooling not in (None, "average"):
        steps["pooling"] = f"gem {options.gem_p:g}" if options.pooling == "gem" else options.pooling
    if options.flip:
        steps["flip"] = "mean of the features of the image and of its mirror image"
    return steps


@dataclass(frozen=True)
class Encoder:
    """A network and the content of its side file."""

    model: keras.Model
    about: dict[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of the images that the network takes."""
        _, height, width, _ = self.model.input_shape
        return width, height


def build(
    architecture: str, source: str, seed: int, fetched: str | Path | None = None, options: Options = _NONE
) -> tuple[keras.Model, str]:
    """Build a network and load its initial weights.

    Args:
        architecture: an entry of `cbir.encoders.architectures`.
        source: one of the entry's ``SOURCES``, ``random``, the path of a weights file, or, for an architecture in a
            file, ``own`` for the weights in that file.
        seed: of random weights.
        fetched: the file that `weights.fetch` wrote. It is required for a source of ``SOURCES``, and for an entry with
            the function ``fetch``.
        options: of the encoder.

    Returns:
        The model and a text that says where its weights came from.

    Raises:
        InputError: when the weights cannot be read or do not fit.
        ValueError: when ``fetched`` is required and missing.
    """
    keras.utils.set_random_seed(seed)
    entry = architectures.REGISTRY.get_entry(architecture)
    is_fetched = hasattr(entry, "fetch")
    if fetched is None and (source in entry.SOURCES or is_fetched):
        raise ValueError(f"the architecture {architecture} with weights {source} needs the file that was fetched")
    model = entry.restore(fetched, options.size) if is_fetched else entry.build(options.size or entry.SIZE)
    model = pooled(model, options.pooling, options.gem_p)
    if source == "random":
        return model, f"random, seed {seed}"
    if source in entry.SOURCES and fetched is not None:
        return model, weights.load_fetched(model, fetched, entry.SOURCES[source], getattr(entry, "load", None))
    path = entry.FILE if source == "own" else source
    weights.load(model, path)
    return model, f"file {path}"


def save(
    model: keras.Model,
    path: str | Path,
    *,
    encoder: str,
    source: str,
    normalise: bool,
    architecture: str | None = None,
    options: Options = _NONE,
) -> None:
    """Save a network as ``path`` (.keras), and its description in the side file (.json).

    Args:
        model: the network.
        path: the file of the network.
        encoder: name of the encoder.
        source: where its weights came from.
        normalise: whether features are scaled to length 1.
        architecture: the entry of `cbir.encoders.architectures`; None if it is the name of the model.
        options: of the encoder.
    """
    path = Path(path)
    architecture = architecture or model.name
    _, height, width, _ = model.input_shape
    steps = preprocessing(architecture, (width, height), options)
    archive.save(model, path)
    about = {
        "encoder": encoder,
        "architecture": architecture,
        "dimension": int(model.output_shape[-1]),
        "parameters": int(model.count_params()),
        "weights": source,
        "weights_fingerprint": archive.read(path).fingerprint(),
        "normalise": normalise,
        "preprocessing": steps,
        "preprocessing_fingerprint": sha256_json(steps),
    }
    about["fingerprint"] = sha256_json([about["weights_fingerprint"], about["preprocessing_fingerprint"], normalise])
    if given := options.given():
        about["options"] = given
    write_json(path.with_suffix(".json"), about)


def open_encoder(path: str | Path) -> Encoder:
    """Open a network that `save` wrote.

    The network is built by the code of the architecture that the side file names. The file provides the weights; the
    architecture in it is only compared. A user's own network is built from the file, see
    `cbir.encoders.architectures.file`.

    Raises:
        InputError: when a file is missing or damaged, or the network is not the one that the side file describes.
    """
    path = Path(path)
    side = path.with_suffix(".json")
    about = read_json(side, {"architecture": str, "weights_fingerprint": str, "preprocessing": dict})
    if about["architecture"] not in architectures.REGISTRY:
        raise InputError(
            f"{side} names an architecture, {about['architecture']!r}, that is not known here: remove it and run again."
        )
    model = _rebuilt(about, path, preparation(about, side).size)
    try:
        held = archive.unpack(path, weights.shapes(model))
    # A damaged archive may raise any type of exception.
    except Exception as error:
        raise InputError(f"The network {path} cannot be opened ({error}): remove it and run again.") from error
    if (held.architecture, held.fingerprint()) != (model.to_json(), about["weights_fingerprint"]):
        raise InputError(f"The network {path} is not the one that {side} describes: remove both and run again.")
    weights.give(model, held.weights, held.data)
    return Encoder(model, about)


def _rebuilt(about: dict[str, Any], path: Path, size: tuple[int, int]) -> keras.Model:
    entry = architectures.REGISTRY.get_entry(about["architecture"])
    if hasattr(entry, "restore"):
        return entry.restore(path)
    options = Options.from_row(about.get("options", {}))
    return pooled(entry.build(size), options.pooling, options.gem_p)
