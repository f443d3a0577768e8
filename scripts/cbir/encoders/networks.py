"""Build, save and open encoders: a Keras network and a side file that says what it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from cbir.encoders import architectures, weights
from cbir.files import archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json
from cbir.files.tables import read_json, write_json


def preprocessing(architecture: str) -> dict[str, Any]:
    """Return what happens to an image before its features; part of an encoder's fingerprint."""
    entry = architectures.REGISTRY.get_entry(architecture)
    return {
        "decode": "Pillow RGB, EXIF upright, on white, JPEG draft, bilinear squash",
        "size": list(entry.SIZE),
        "scale": entry.PREPROCESSING,
        "network": "batch normalisation folded into convolutions",
    }


@dataclass(frozen=True)
class Encoder:
    """A network ready to encode: its Keras model and its side file's content."""

    model: keras.Model
    about: dict[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of the images that the network takes."""
        _, height, width, _ = self.model.input_shape
        return width, height


def build(architecture: str, source: str, seed: int, fetched: str | Path | None = None) -> tuple[keras.Model, str]:
    """Build a network and give it its first weights.

    Args:
        architecture: an entry of `cbir.encoders.architectures`.
        source: one of the entry's ``SOURCES``, ``random`` or the path of a weights file.
        seed: for random weights.
        fetched: the file that `weights.fetch` wrote, which one of the ``SOURCES`` needs.

    Returns:
        The model and where its weights came from.

    Raises:
        InputError: when the weights cannot be had or do not fit.
    """
    keras.utils.set_random_seed(seed)
    entry = architectures.REGISTRY.get_entry(architecture)
    model = entry.build(entry.SIZE)
    if source == "random":
        return model, f"random, seed {seed}"
    if source in entry.SOURCES:
        if fetched is None:
            raise ValueError(f"the source {source} needs the file of its weights")
        return model, weights.load_fetched(model, fetched, entry.SOURCES[source])
    weights.load(model, source)
    return model, f"file {source}"


def save(model: keras.Model, path: str | Path, *, encoder: str, source: str, normalise: bool) -> None:
    """Save a network as ``path`` (.keras) and what it is beside it (.json).

    Args:
        model: the network, of an architecture in `cbir.encoders.architectures`, after which it is named.
        path: where the network goes.
        encoder: its name.
        source: where its weights came from.
        normalise: whether its output is scaled to unit length when it encodes.
    """
    path = Path(path)
    steps = preprocessing(model.name)
    about = {
        "encoder": encoder,
        "architecture": model.name,
        "dimension": int(model.output_shape[-1]),
        "parameters": int(model.count_params()),
        "weights": source,
        "weights_fingerprint": weights.fingerprint(model),
        "normalise": normalise,
        "preprocessing": steps,
        "preprocessing_fingerprint": sha256_json(steps),
    }
    about["fingerprint"] = sha256_json([about["weights_fingerprint"], about["preprocessing_fingerprint"], normalise])
    archive.save(model, path)
    write_json(path.with_suffix(".json"), about)


def open_encoder(path: str | Path) -> Encoder:
    """Open a network that `save` wrote.

    The network is built by this project's own code, for the architecture that the side file names, and is given the
    weights in the file. The architecture in the file is only compared with it.

    Raises:
        InputError: when a file is missing or damaged, or the network is not the one that the side file describes.
    """
    path = Path(path)
    side = path.with_suffix(".json")
    about = read_json(side, {"architecture": str, "weights_fingerprint": str})
    if about["architecture"] not in architectures.REGISTRY:
        raise InputError(
            f"{side} names an architecture, {about['architecture']!r}, that is not known here: remove it and run again."
        )
    entry = architectures.REGISTRY.get_entry(about["architecture"])
    model = entry.build(entry.SIZE)
    try:
        held = archive.unpack(path, weights.shapes(model))
    # A damaged archive may raise any type of exception.
    except Exception as error:
        raise InputError(f"The network {path} cannot be opened ({error}): remove it and run again.") from error
    if (held.architecture, held.fingerprint()) != (model.to_json(), about["weights_fingerprint"]):
        raise InputError(f"The network {path} is not the one that {side} describes: remove both and run again.")
    model.set_weights([array for arrays in held.weights for array in arrays])
    return Encoder(model, about)
