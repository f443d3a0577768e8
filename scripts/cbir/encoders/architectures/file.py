"""A network of one's own: ``file:PATH.keras`` names a Keras archive, whose weights are ``weights: own``.

The network is a functional or sequential model of Keras's own layers. It takes images (height, width, 3) of pixels from
0 to 255, so its preprocessing is one of its layers, and what it gives are the features: vectors, or a feature map or
tokens, which are pooled. No code in the file runs: only classes of Keras that compute with arrays are built, see
`_ADMITTED`.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any, ClassVar

from cbir.encoders.options import LARGEST, require_size
from cbir.files import archive
from cbir.files.errors import InputError

_LARGEST_CONFIG = 20_000_000
# How a network was trained is of no use here and names losses and metrics; Keras also notes memory addresses.
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

# What a layer's configuration may name, by the module that Keras writes for it; "*" is every class there.
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


def entry(word: str) -> "File":
    """Return the architecture in the file that ``file:PATH`` names."""
    return File(Path(os.path.expanduser(word.partition(":")[2])))


class File:
    """The architecture in a Keras archive, as an entry of `cbir.encoders.architectures`.

    Attributes:
        FILE: the archive; it also holds the weights ``own``.
    """

    PREPROCESSING = "by layers of the network itself"
    SOURCES: ClassVar[dict[str, str]] = {}

    def __init__(self, path: Path) -> None:
        self.FILE = path

    @property
    def SIZE(self) -> tuple[int, int]:  # noqa: N802
        """(width, height) of the images that the network takes.

        Raises:
            InputError: when the file holds no network that could be used, or one that takes images of any size.
        """
        shape = _input(_read(self.FILE))["config"].get("batch_shape") or []
        if len(shape) == 4 and shape[1] is None and shape[2] is None:
            raise InputError(
                f"The network in {self.FILE} takes images of any size: give the encoder's row a size, such as 224."
            )
        size = tuple(shape[2:0:-1])
        require_size(size, f"The size of the images that {self.FILE} takes")
        return size[0], size[1]

    def build(self, size: tuple[int, int]) -> Any:
        """Return the network, a functional `keras.Model`, with random weights.

        Raises:
            InputError: when the file holds no network that could be used.
        """
        config = _read(self.FILE)
        given = _input(config)["config"]
        given["batch_shape"] = [None, size[1], size[0], (given.get("batch_shape") or [3])[-1]]
        return _built(config, self.FILE)

    @staticmethod
    def restore(path: Path) -> Any:
        """Return the network in an archive of the results, with random weights.

        The person's file may have changed since, or may not be there.

        Raises:
            InputError: when the file holds no network that could be used.
        """
        return _built(_read(path), path)


def _read(path: Path) -> dict[str, Any]:
    """Return the configuration of the network in an archive, after a look at everything that it names."""
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
        _require_harmless(config, max([LARGEST, *sides]))
        assert isinstance(layers, list)
    except InputError:
        raise
    # A damaged archive raises nearly anything.
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


def _require_harmless(node: Any, largest: int, key: str = "") -> None:
    """Refuse a configuration that names anything but layers that compute, or claims far more memory than its weights.

    Raises:
        InputError, ValueError: saying what it names.
    """
    if isinstance(node, dict):
        if "class_name" in node:
            kind, module = node["class_name"], node.get("module")
            admitted = _ADMITTED.get(module, frozenset())
            if kind not in admitted and (kind.startswith("__") or "*" not in admitted):
                raise ValueError(f"it has {kind} of {module}, and only Keras's own layers that compute are built")
        for name, value in node.items():
            _require_harmless(value, largest, name)
    elif isinstance(node, list):
        for value in node:
            _require_harmless(value, largest, key)
    elif isinstance(node, int) and not isinstance(node, bool) and key != "seed" and abs(node) > largest:
        raise ValueError(f"its {key or 'configuration'} of {node} is larger than any of its weights")


def _input(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of the layer that takes the images."""
    found = [layer for layer in config["config"]["layers"] if layer.get("class_name") == "InputLayer"]
    if len(found) != 1:
        raise InputError(f"A network of one's own has one input, the images, and not {len(found)}: change the file.")
    inputs: dict[str, Any] = found[0]
    return inputs


def _built(config: dict[str, Any], path: Path) -> Any:
    import keras

    # Registers its layers.
    from cbir.encoders import pooling  # noqa: F401

    try:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    # Keras raises nearly anything here.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The network in {path} could not be built ({reason}): save it anew by Keras 3.") from error
    shapes = [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]
    if len(shapes) != 2 or len(shapes[0]) != 4 or shapes[0][-1] != 3 or len(shapes[1]) not in (2, 3, 4):
        raise InputError(
            f"The network in {path} maps {shapes[:-1]} to {shapes[-1:]}: it must take images (height, width, 3) and "
            "give one array of features."
        )
    # Of a sequential model, or one that gives a list of one, a plain functional one is made.
    plain = not isinstance(model, keras.Sequential) and isinstance(model.output, keras.KerasTensor)
    return model if plain else keras.Model(model.inputs[0], model.outputs[0], name=model.name)
