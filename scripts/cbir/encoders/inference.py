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

_MOST_CONVERTED = 150_000_000
"""Parameters of the largest network whose variables become constants; this copies them ten to twenty times."""


def embedder(
    model: keras.Model,
    batch: int,
    normalise: bool,
    runtime: Runtime = TENSORFLOW,
    calls: int = 1,
    flip: bool = False,
) -> Embed:
    """Return a function from images (n, height, width, 3) uint8, n <= batch, to features (n, d) float32.

    Short batches are padded, so that the network always runs with the same shape. The features of an image then depend
    on its position in the batch only by rounding errors. Batch normalisation is folded into the convolutions and
    variables become constants, unless they are so many that the copies would fill the memory. A network for which this
    fails is run unchanged by TensorFlow, and the log says so. The function is thread-safe: on a CPU, one call per
    thread is faster than several threads per operation.

    Args:
        model: the network; it takes pixels from 0 to 255 as float32.
        batch: images per call of the network.
        normalise: scale each feature vector to length 1 (a zero vector stays zero).
        runtime: the library that runs the network, and its precision.
        calls: number of threads that call the function at the same time, for OpenVINO. For TensorFlow,
            `cbir.encoders.devices.limit_threads` sets it.
        flip: average the features of an image and of its mirror image, before they are scaled to length 1.

    Raises:
        InputError: when the runtime is not installed or the processor does not support the precision.
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
    """Allow or forbid TensorFloat-32 in matrix products and convolutions on GPUs; the backends' defaults differ."""
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
    # A user's network may have a structure that cannot be folded, such as a layer that is used twice.
    except Exception as error:
        log.info("the network %s is run without folding, which is not possible (%s)", model.name, _in_short(error))
        return model


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _generic(model: keras.Model) -> Forward:
    """Return the forward pass of a network with the backends JAX, compiled, or PyTorch, without gradients."""
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
    """Return a thread-safe function: each call uses an idle function that ``prepare`` returned, or a new one."""
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
    is_large = model.count_params() > _MOST_CONVERTED
    # On a CPU, LiteRT is faster for depthwise convolutions and TensorFlow for all other networks.
    if not gpu and not is_large and any(_is_depthwise(layer) for layer in model.layers):
        try:
            return _litert(model, batch)
        # The converter raises many types of exception.
        except Exception as error:
            log.info("the network %s is run by TensorFlow, because LiteRT cannot (%s)", model.name, _in_short(error))
    compute = _traced(model, batch)
    if is_large:
        log.info("the network %s keeps its variables: %d million", model.name, model.count_params() // 10**6)
    else:
        frozen = convert_variables_to_constants_v2(compute.get_concrete_function())
        compute = lambda images: frozen(images)[0]  # noqa: E731

    def forward(images: NDArray[np.uint8]) -> Features:
        return np.asarray(compute(tf.constant(images)), dtype=np.float32)

    # One batch at a time keeps a GPU busy, and its memory holds few batches.
    return _one_at_a_time(forward) if gpu else forward


def _is_depthwise(layer: keras.Layer) -> bool:
    """Tell whether a layer convolves each channel by itself; in ConvNeXt it is a `Conv2D` with a group a channel."""
    if isinstance(layer, keras.layers.Conv2D):
        return bool(layer.groups > 1 and layer.groups == layer.filters)
    return isinstance(layer, keras.layers.DepthwiseConv2D)


def _litert(model: keras.Model, batch: int) -> Forward:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    # The converter logs that it wants the model, too. But then it keeps the weights as variables, which is slow.
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
        # By default OpenVINO uses bfloat16 on every processor that supports it.
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "NUM_STREAMS": calls,
        "INFERENCE_NUM_THREADS": calls,
    }
    try:
        compiled = openvino.Core().compile_model(openvino.convert_model(_traced(model, batch)), "CPU", settings)
    # OpenVINO raises many types of exception.
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
