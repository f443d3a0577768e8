"""Run a network over batches of images as fast as the machine allows."""

import importlib.util
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cbir.encoders.folding import fold
from cbir.encoders.runtimes import TENSORFLOW, Embed, Runtime
from cbir.files.errors import InputError

log = logging.getLogger("cbir")

Features = NDArray[np.float32]
Forward = Callable[[NDArray[np.uint8]], Features]


def embedder(
    model: keras.Model,
    batch: int,
    normalise: bool,
    runtime: Runtime = TENSORFLOW,
    calls: int = 1,
    flip: bool = False,
) -> Embed:
    """Return a function from images (n, height, width, 3) uint8, n <= batch, to features (n, d) float32.

    Short batches are filled up, so that the network always runs at one shape: an image's features then differ by its
    place in the batch only in the last bits. Batch normalisation is folded into the convolutions, and variables into
    constants; a network that cannot be folded or converted is run by TensorFlow as it is, and the log says so. The
    function may be called from several threads at the same time: on a processor that is faster than
    sharing each operation among them.

    Args:
        model: the network; it takes pixels from 0 to 255 as float32.
        batch: images at a time.
        normalise: scale each feature vector to unit length (a zero vector stays zero).
        runtime: what runs the network.
        calls: threads that call the function at the same time, for OpenVINO; TensorFlow is told by
            `cbir.encoders.devices.limit_threads`.
        flip: give the mean of the features of an image and of its mirror image, before they are scaled.

    Raises:
        InputError: when the runtime is not installed or the processor does not compute in its precision.
    """
    if runtime.name == "openvino":
        _require_openvino(runtime.precision)
    else:
        _allow_tf32(runtime.precision == "tf32")
    folded = _folded(model)
    if runtime.name == "openvino":
        forward = _openvino(folded, batch, runtime.precision, calls)
    elif keras.backend.backend() == "tensorflow":
        forward = _tensorflow(folded, batch)
    else:
        forward = _one_at_a_time(_generic(folded))

    def embed(images: NDArray[np.uint8]) -> Features:
        count = len(images)
        if count < batch:
            images = np.concatenate([images, np.zeros((batch - count, *images.shape[1:]), np.uint8)])
        features = forward(images)[:count]
        if flip:
            mirrored = forward(np.ascontiguousarray(images[:, :, ::-1]))[:count]
            features = (features + mirrored) / np.float32(2)
        if normalise:
            lengths = np.linalg.norm(features, axis=1, keepdims=True)
            features = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
        return features

    return embed


def _allow_tf32(allowed: bool) -> None:
    """Let GPUs round the factors of products to TensorFloat-32, or not; each library has another default."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if allowed else "float32")
    elif backend == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(allowed)


def _folded(model: keras.Model) -> keras.Model:
    try:
        return fold(model)
    # A network of a person's own may be of any shape, such as one that uses a layer twice.
    except Exception as error:
        log.info("the network %s is run without folding, which is not possible (%s)", model.name, _in_short(error))
        return model


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _generic(model: keras.Model) -> Forward:
    """Return what the other backends of Keras compute: compiled by JAX, without gradients by PyTorch."""
    if keras.backend.backend() == "jax":
        import jax

        weights = [[variable.value for variable in kind] for kind in _variables(model)]

        @jax.jit
        def compiled(images: Any) -> Any:
            return model.stateless_call(*weights, images.astype(np.float32), training=False)[0]

        return lambda images: np.asarray(compiled(images), dtype=np.float32)
    import torch

    def forward(images: NDArray[np.uint8]) -> Features:
        with torch.inference_mode():
            return keras.ops.convert_to_numpy(model(images.astype(np.float32), training=False))

    return forward


def _variables(model: keras.Model) -> tuple[list[Any], list[Any]]:
    return model.trainable_variables, model.non_trainable_variables


def _one_at_a_time(forward: Forward) -> Forward:
    lock = threading.Lock()

    def locked(images: NDArray[np.uint8]) -> Features:
        with lock:
            return forward(images)

    return locked


def _one_for_each_thread(prepare: Callable[[], Forward]) -> Forward:
    """Return a function that several threads may call: each call takes an idle function of `prepare`, or a new one."""
    free: deque[Forward] = deque()

    def forward(images: NDArray[np.uint8]) -> Features:
        try:
            one = free.pop()
        except IndexError:
            one = prepare()
        try:
            return one(images)
        finally:
            free.append(one)

    return forward


def _traced(model: keras.Model, batch: int) -> Any:
    """Return a TensorFlow function from images (batch, height, width, 3) uint8 to features."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([batch, *model.input_shape[1:]], tf.uint8)], autograph=False)
    def forward(images):  # type: ignore[no-untyped-def]
        return model(tf.cast(images, tf.float32), training=False)

    return forward


def _tensorflow(model: keras.Model, batch: int) -> Forward:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    gpu = bool(tf.config.list_physical_devices("GPU"))
    # On a CPU, LiteRT is faster at depthwise convolutions, and TensorFlow at all others.
    if not gpu and any(_is_depthwise(layer) for layer in model.layers):
        try:
            return _litert(model, batch)
        # The converter raises many kinds.
        except Exception as error:
            log.info("the network %s is run by TensorFlow, because LiteRT cannot (%s)", model.name, _in_short(error))
    frozen = convert_variables_to_constants_v2(_traced(model, batch).get_concrete_function())

    def forward(images: NDArray[np.uint8]) -> Features:
        return np.asarray(frozen(tf.constant(images))[0], dtype=np.float32)

    # One batch keeps a GPU busy, and its memory holds few of them.
    return _one_at_a_time(forward) if gpu else forward


def _is_depthwise(layer: keras.Layer) -> bool:
    """Tell whether a layer convolves each channel by itself; in ConvNeXt it is a `Conv2D` with a group a channel."""
    if isinstance(layer, keras.layers.Conv2D):
        return bool(layer.groups > 1 and layer.groups == layer.filters)
    return isinstance(layer, keras.layers.DepthwiseConv2D)


def _litert(model: keras.Model, batch: int) -> Forward:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    # The converter's log asks for the model as well, but then it leaves the weights as variables, which is slow.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_traced(model, batch).get_concrete_function()])
    network = converter.convert()

    def prepare() -> Forward:
        interpreter = Interpreter(model_content=network, num_threads=1)
        interpreter.allocate_tensors()
        (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()

        def forward(images: NDArray[np.uint8]) -> Features:
            interpreter.set_tensor(given["index"], images)
            interpreter.invoke()
            return np.asarray(interpreter.get_tensor(wanted["index"]), dtype=np.float32)

        return forward

    return _one_for_each_thread(prepare)


def _require_openvino(precision: str) -> None:
    if importlib.util.find_spec("openvino") is None:
        raise InputError(
            "The encoder's runtime is openvino, which is not installed: run `make extras`, or set runtime: tensorflow."
        )
    import openvino

    if precision == "bfloat16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise InputError(
            "The encoder's precision is bfloat16, which this processor does not compute in: set precision: float32."
        )


def _openvino(model: keras.Model, batch: int, precision: str, calls: int) -> Forward:
    import openvino

    settings = {
        # Left to itself, OpenVINO takes bfloat16 wherever the processor has it.
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "NUM_STREAMS": calls,
        "INFERENCE_NUM_THREADS": calls,
    }
    try:
        compiled = openvino.Core().compile_model(openvino.convert_model(_traced(model, batch)), "CPU", settings)
    # OpenVINO raises many kinds.
    except Exception as error:
        if precision != "float32":
            raise InputError(
                f"OpenVINO cannot run the network {model.name} ({_in_short(error)}): set the encoder's runtime to "
                "tensorflow and its precision to float32."
            ) from error
        log.info("the network %s is run by TensorFlow, because OpenVINO cannot (%s)", model.name, _in_short(error))
        return _tensorflow(model, batch)

    def prepare() -> Forward:
        request = compiled.create_infer_request()
        return lambda images: np.array(request.infer([images], share_inputs=True)[0], dtype=np.float32)

    return _one_for_each_thread(prepare)
