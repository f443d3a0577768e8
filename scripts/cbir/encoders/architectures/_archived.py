"""Build a network from the configuration in a Keras archive, after checking all classes that it names.

No code in an archive runs: only classes that compute with arrays are built, see `_ADMITTED`.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cbir.encoders.options import LARGEST
from cbir.files import archive
from cbir.files.errors import InputError

Node = dict[str, Any]

_LARGEST_CONFIG = 20_000_000
# Settings of the training, which may name losses and metrics, and memory addresses.
_NOT_OF_USE = ("compile_config", "shared_object_id")

# fmt: off
_LAYERS = frozenset(
    {
        "InputLayer", "Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense",
        "EinsumDense", "Embedding", "BatchNormalization", "LayerNormalization", "GroupNormalization",
        "RMSNormalization", "UnitNormalization", "Normalization", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU",
        "Softmax", "MaxPooling2D", "AveragePooling2D", "MaxPooling1D", "AveragePooling1D", "GlobalAveragePooling2D",
        "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Flatten", "Reshape", "Permute",
        "RepeatVector", "Identity", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate",
        "Dot", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Rescaling", "Resizing", "CenterCrop",
        "MultiHeadAttention", "Attention", "Dropout", "SpatialDropout2D", "SpatialDropout1D", "GaussianDropout",
        "GaussianNoise", "AlphaDropout", "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomZoom",
        "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomCrop",
    }
)
# fmt: on

# The classes that a configuration may name, by module; "*" admits every class of a module.
_ADMITTED = {
    "keras.layers": _LAYERS,
    "keras": frozenset({"Functional", "Model", "Sequential", "DTypePolicy"}),
    "keras.models": frozenset({"Functional", "Model", "Sequential"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.initializers": frozenset("*"),
    "keras.regularizers": frozenset("*"),
    "keras.constraints": frozenset("*"),
    "keras.dtype_policies": frozenset({"DTypePolicy"}),
    "keras.src.ops.numpy": frozenset("*"),
    "keras.src.ops.nn": frozenset("*"),
    "keras.src.applications.convnext": frozenset({"LayerScale", "StochasticDepth"}),
    "cbir.encoders.pooling": frozenset({"GeneralisedMean", "ClassToken"}),
    # Plain data.
    None: frozenset({"__keras_tensor__", "__numpy__", "__tensor__", "__slice__", "__ellipsis__", "__tuple__"}),
}
_ADMITTED["builtins"] = _ADMITTED[None]

Admits = Callable[[Node], bool]


def _nothing(node: Node) -> bool:
    return False


def read(path: Path, extra: Admits = _nothing) -> Node:
    """Return the configuration of the network in an archive, after checking all classes that it names.

    Args:
        path: the archive.
        extra: returns whether a part with a ``class_name`` is admitted in addition to `_ADMITTED`.

    Raises:
        InputError: when the file is missing, damaged, or names a class that is not admitted.
    """
    if not path.is_file():
        raise InputError(f"The network {path} does not exist: correct the encoder's architecture in the config.")
    try:
        archive.require_plain(path)
        with zipfile.ZipFile(path) as members:
            if members.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise ValueError("its configuration is too long")
            config = _of_use(json.loads(members.read("config.json")))
        layers = config["config"]["layers"]
        held = archive.unpack(path)
        sides = [side for arrays in held.weights for array in arrays for side in array.shape]
        require_harmless(config, max([LARGEST, *sides]), extra)
        assert isinstance(layers, list)
    except InputError:
        raise
    # A damaged archive may raise any type of exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} holds no network that could be used ({reason}): save a functional model there by Keras 3."
        ) from error
    return config


def _of_use(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _of_use(value) for name, value in node.items() if name not in _NOT_OF_USE}
    return [_of_use(value) for value in node] if isinstance(node, list) else node


def require_harmless(node: Any, largest: float, extra: Admits = _nothing, key: str = "") -> None:
    """Refuse a configuration that names a class that is not admitted, or has a number that may fill the memory.

    Args:
        node: the configuration or a part of it.
        largest: the largest absolute value that an integer in it may have, except a seed.
        extra: see `read`.
        key: the key of the part in the configuration.

    Raises:
        ValueError: naming the class or the number.
    """
    if isinstance(node, dict):
        if "class_name" in node and not (_is_admitted(node) or extra(node)):
            raise ValueError(
                f"it has {node.get('registered_name') or node['class_name']} of {node.get('module')}, and only layers "
                "of Keras and backbones of keras-hub, which compute, are built"
            )
        for name, value in node.items():
            require_harmless(value, largest, extra, name)
    elif isinstance(node, list):
        for value in node:
            require_harmless(value, largest, extra, key)
    elif isinstance(node, int) and not isinstance(node, bool) and key != "seed" and abs(node) > largest:
        raise ValueError(f"its {key or 'configuration'} of {node} is larger than any of its weights")


def _is_admitted(node: Node) -> bool:
    kind, module, registered = node["class_name"], node.get("module"), node.get("registered_name")
    admitted = _ADMITTED.get(module, frozenset())
    # Keras looks up the registered name first, so it must name the same class.
    package = str(module).partition(".")[0]
    if registered not in (None, kind, f"{package}>{kind}"):
        return False
    return kind in admitted or ("*" in admitted and not kind.startswith("__"))


def input_layer(config: Node) -> Node:
    """Return the configuration of the input layer.

    Raises:
        InputError: when the network has none, or more than one.
    """
    found = [layer for layer in config["config"]["layers"] if layer.get("class_name") == "InputLayer"]
    if len(found) != 1:
        raise InputError(f"A network of one's own has one input, the images, and not {len(found)}: change the file.")
    inputs: Node = found[0]
    return inputs


def set_size(config: Node, size: tuple[int, int]) -> None:
    """Change the size of a network's input images to ``size`` (width, height)."""
    given = input_layer(config)["config"]
    given["batch_shape"] = [None, size[1], size[0], (given.get("batch_shape") or [3])[-1]]


def built(config: Node, path: Path) -> Any:
    """Build the network of a configuration that `read` returned, a functional `keras.Model`, with random weights.

    Raises:
        InputError: when it cannot be built, or does not map images to one array of features.
    """
    import keras

    # Importing the module registers its layers.
    from cbir.encoders import pooling  # noqa: F401

    try:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    # Keras may raise any type of exception here.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The network in {path} could not be built ({reason}): save it anew by Keras 3.") from error
    shapes = [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]
    if len(shapes) != 2 or len(shapes[0]) != 4 or shapes[0][-1] != 3 or len(shapes[1]) not in (2, 3, 4):
        raise InputError(
            f"The network in {path} maps {shapes[:-1]} to {shapes[-1:]}: it must take images (height, width, 3) and "
            "give one array of features."
        )
    # A sequential model, or one whose output is a list, is converted to a functional one with a single output.
    plain = not isinstance(model, keras.Sequential) and isinstance(model.output, keras.KerasTensor)
    return model if plain else keras.Model(model.inputs[0], model.outputs[0], name=model.name)
