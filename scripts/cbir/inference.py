"""Run a network over batches of images as fast as the machine allows."""

import keras
import numpy as np
from numpy.typing import NDArray

from cbir.encoding import Embed
from cbir.networks import scale

Features = NDArray[np.float32]


def limit_threads(threads: int) -> None:
    """Let TensorFlow use so many threads; works only before the first operation runs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def embedder(model: keras.Model, batch: int, normalise: bool) -> Embed:
    """Return a function from images (n, height, width, 3) uint8, n <= batch, to features (n, d) float32.

    Short batches are filled up, so that the network always runs at one shape: an image's features then differ by its
    place in the batch only in the last bits. With TensorFlow the variables are folded into constants, which lets it
    merge convolutions with the batch normalisation behind them.

    Args:
        model: the network; it takes pixels scaled by `scale`.
        batch: images at a time.
        normalise: scale each feature vector to unit length (a zero vector stays zero).
    """
    forward = _tensorflow(model, batch) if keras.backend.backend() == "tensorflow" else _generic(model)

    def embed(images: NDArray[np.uint8]) -> Features:
        count = len(images)
        if count < batch:
            images = np.concatenate([images, np.zeros((batch - count, *images.shape[1:]), np.uint8)])
        features = forward(images)[:count]
        if normalise:
            lengths = np.linalg.norm(features, axis=1, keepdims=True)
            features = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
        return features

    return embed


def _generic(model: keras.Model) -> Embed:
    return lambda images: keras.ops.convert_to_numpy(model(scale(images), training=False))


def _tensorflow(model: keras.Model, batch: int) -> Embed:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    @tf.function(input_signature=[tf.TensorSpec([batch, *model.input_shape[1:]], tf.uint8)])
    def forward(images):  # type: ignore[no-untyped-def]
        return model(tf.cast(images, tf.float32) / 127.5 - 1.0, training=False)

    frozen = convert_variables_to_constants_v2(forward.get_concrete_function())
    return lambda images: np.asarray(frozen(tf.constant(images))[0], dtype=np.float32)
