"""The networks of Keras Applications without their classifiers, with global average pooling.

``applications.words.csv`` lists them. Its columns are: ``word`` in the configuration; ``function`` of
`keras.applications`; ``size``, the side of the images in pixels; ``width``, the dimension of the features; ``pixels``,
see `_PIXELS`; and for the ImageNet weights without the classifier, the name of the ``file`` in Keras's cache, its
``url`` and the ``hash`` that Keras compares it with (MD5, or SHA-256 if it has 64 digits; Keras has none for
MobileNet).
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cbir.files.errors import InputError
from cbir.files.registry import table


def entry(word: str) -> "Application":
    """Return the architecture of a word in the table."""
    return Application(_rows()[word])


@cache
def _rows() -> dict[str, dict[str, str]]:
    return {row["word"]: row for row in table(__file__)}


class _Pixels(NamedTuple):
    """Preprocessing of pixels: as a text, as a function of `_layers`, and whether it replaces Keras's own layers."""

    text: str
    before: str | None = None
    instead: bool = False


_NORMALISED = "(x / 255 - mean) / standard deviation of ImageNet, by channel"
_PIXELS = {
    "tf": _Pixels("x / 127.5 - 1", "from_minus_one_to_one"),
    "torch": _Pixels(_NORMALISED, "normalised"),
    "caffe": _Pixels("blue, green, red; x - mean of ImageNet, by channel", "blue_green_red"),
    # The networks of Keras contain these layers.
    "tf-inside": _Pixels("x / 127.5 - 1"),
    "torch-inside": _Pixels(_NORMALISED),
    "128-inside": _Pixels("x / 128 - 1"),
    # The networks of Keras contain these layers only if they are built with ImageNet weights, otherwise x / 255.
    "torch-instead": _Pixels(_NORMALISED, "normalised", instead=True),
}


class Application:
    """A network of `keras.applications`, as an entry of `cbir.encoders.architectures`.

    Attributes:
        WIDTH: dimension of the features.
    """

    def __init__(self, row: dict[str, str]) -> None:
        self._row, self._pixels = row, _PIXELS[row["pixels"]]
        self.SIZE = (int(row["size"]), int(row["size"]))
        self.WIDTH = int(row["width"])
        self.PREPROCESSING = self._pixels.text
        # Keras checks the hash of the file. The hash over the weights, which SOURCES lists, is not published.
        self.SOURCES = {"imagenet": None}

    def build(self, size: tuple[int, int]) -> Any:
        """Return the network, a functional `keras.Model`, with random weights.

        Raises:
            InputError: when the network does not support images of this size.
        """
        import keras

        from cbir.encoders.architectures import _layers

        with _layers.numbered_anew():
            shape = (size[1], size[0], 3)
            inputs = keras.Input(shape, name="image")
            before = self._pixels.before
            tensor = inputs if before is None else getattr(_layers, before)(inputs)
            try:
                backbone = getattr(keras.applications, self._row["function"])(
                    input_tensor=tensor, input_shape=shape, include_top=False, weights=None, pooling="avg"
                )
            except ValueError as error:
                reason = " ".join(str(error).split()).rstrip(".")
                raise InputError(
                    f"The architecture {self._row['word']} takes no images of {size[0]} x {size[1]} pixels ({reason}): "
                    "make the encoder's size larger."
                ) from error
            if self._pixels.instead:
                backbone = _without_own_preprocessing(backbone)
            return keras.Model(backbone.input, backbone.output, name=self._row["word"])

    def download(self, source: str, model: Any) -> str:
        """Load the ImageNet weights into a network, from Keras's cache or by its download.

        Raises:
            InputError: when the file cannot be downloaded; the sentence says which file to fetch by hand.
        """
        import keras

        from cbir.encoders import weights

        name, url, checksum = self._row["file"], self._row["url"], self._row["hash"] or None
        try:
            path = keras.utils.get_file(name, url, cache_subdir="models", file_hash=checksum)
        # Keras reports an unreachable host as a bare Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            place = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / name
            known = "no published checksum"
            if checksum:
                known = f"{'SHA-256' if len(checksum) == 64 else 'MD5'} {checksum}"
            raise InputError(
                f"The ImageNet weights of {self._row['word']} could not be downloaded ({reason}): fetch {url} "
                f"({known}) by hand and put it at {place}, or set the encoder's weights in the config to random or a "
                "file."
            ) from error
        weights.load(model, path)
        return f"keras.applications.{self._row['function']}, weights {source}, {url}"


def _without_own_preprocessing(backbone: Any) -> Any:
    """Return a copy of an EfficientNet without its two layers that scale pixels."""
    import keras

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in ("rescaling", "normalization") else layer(*inputs, **options)

    return keras.models.clone_model(backbone, call_function=call)
