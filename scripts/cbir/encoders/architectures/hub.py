"""Networks of keras-hub: ``hub:PRESET`` names a preset, whose weights are ``weights: own``.

PRESET is whatever `keras_hub.models.Backbone.from_preset` opens: the name of a published preset (``hub:dinov2_small``),
an address (``hub:hf://...``, ``hub:kaggle://...``) or a folder (``hub:PATH``). If a network takes images and texts, its
image encoder is used; `cbir.encoders.texts` uses the text encoder. No code in a folder or in an archive of the results
runs: only backbones of keras-hub itself and layers of Keras are built. The network is saved together with its weights,
so the preset is read only once; see ``fetch`` in `cbir.encoders.architectures`.
"""

import importlib.metadata
import importlib.util
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cbir.encoders.architectures import _archived
from cbir.encoders.options import require_size
from cbir.files import archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file

_CONFIG = "config.json"
# Files of every preset that keras-hub saved.
_FILES = (_CONFIG, "image_converter.json", "model.weights.h5")
# Backbones whose first token is a class token.
_CLASS_TOKEN = ("DINOV2Backbone", "DINOV3Backbone", "DeiTBackbone")


def entry(word: str) -> "Hub":
    """Return the architecture of the preset that ``hub:PRESET`` names."""
    return Hub(word.partition(":")[2])


class Hub:
    """The network of a preset, as an entry of `cbir.encoders.architectures`.

    Attributes:
        preset: a name, an address, or the absolute path of a folder.
    """

    PREPROCESSING = "by layers of the network itself"
    SOURCES: ClassVar[dict[str, str | None]] = {"own": None}

    def __init__(self, preset: str) -> None:
        folder = os.path.expanduser(preset)
        self._is_folder = "://" not in preset and (os.path.isdir(folder) or "/" in preset)
        self.preset = os.path.abspath(folder) if self._is_folder else preset

    @property
    def is_gone(self) -> bool:
        """Whether the preset is a folder that does not hold one."""
        return self._is_folder and not Path(self.preset, _CONFIG).is_file()

    @property
    def SIZE(self) -> None:  # noqa: N802
        """None, because the size is known only from the network that `fetch` returns.

        Raises:
            InputError: when the preset is a folder that does not hold one.
        """
        self._require_there()

    @property
    def FILES(self) -> list[Path]:  # noqa: N802
        """The files of a preset in a folder, which define the network and its weights; empty for other presets."""
        found = Path(self.preset).iterdir() if self._is_folder and os.path.isdir(self.preset) else ()
        return sorted(path for path in found if path.is_file())

    def fetch(self) -> tuple[Any, str]:
        """Return the preset's network with its weights, and a text that says where they came from.

        Raises:
            InputError: when keras-hub is missing, the preset cannot be opened, or its network does not take images.
        """
        with self._in_one_sentence():
            _, model, where = self._opened()
        return model, where

    def texts(self) -> tuple[Callable[[str], NDArray[np.float32]], str]:
        """Return a function from a text to its vector (d,) in the space of the network's vectors of images.

        The second value says where it came from, as that of `fetch`.

        Raises:
            InputError: when keras-hub is missing, the preset cannot be obtained, or its network takes no texts.
        """
        with self._in_one_sentence():
            from cbir.encoders.architectures import _texts

            backbone, _, where = self._opened()
            return _texts.embedder(backbone, self.preset), where

    def _opened(self) -> tuple[Any, Any, str]:
        """Return the preset's backbone, the part of it that takes images, and where they came from."""
        from cbir.encoders import weights
        from cbir.encoders.architectures._layers import numbered_anew

        self._require_there()
        with numbered_anew():
            backbone, converter, config = _read(self.preset)
            model = _image_network(backbone, converter)
        version = importlib.metadata.version("keras-hub")
        return (
            backbone,
            model,
            f"keras-hub {version}, preset {self.preset}, {_CONFIG} sha256 {sha256_file(config)}, weights sha256 "
            f"{weights.digest(model)}",
        )

    def _require_there(self) -> None:
        if self.is_gone:
            raise InputError(
                f"The folder {self.preset} holds no preset of keras-hub, which has a {_CONFIG}: put it back, or "
                "correct the encoder's architecture in the config."
            )

    @contextmanager
    def _in_one_sentence(self) -> Iterator[None]:
        """Say what prevents the use of the preset, and how to mend it."""
        _require_keras_hub()
        try:
            yield
        except InputError:
            raise
        # keras-hub and the clients that download presets raise many types of exception.
        except Exception as error:
            raise InputError(
                f"The preset {self.preset} cannot be used ({_in_short(error)}): {self._remedy()}"
            ) from error

    def _remedy(self) -> str:
        if self._is_folder:
            return "save it by keras-hub, or name another."
        from keras_hub.src.utils.preset_utils import BUILTIN_PRESETS

        where = BUILTIN_PRESETS.get(self.preset, {}).get("kaggle_handle", self.preset)
        return (
            f"correct its name, or fetch the files of {where} by hand ({', '.join(_FILES)}, and what else lies there) "
            "into a folder and name that, hub:FOLDER."
        )

    @staticmethod
    def restore(path: Path, size: tuple[int, int] | None = None) -> Any:
        """Return the network in an archive of the results, a functional `keras.Model`, with random weights.

        Args:
            path: the archive.
            size: (width, height) of the images that it is to take; None for the archive's own.

        Raises:
            InputError: when keras-hub is missing, the archive holds no such network, or it takes no such images.
        """
        _require_keras_hub()
        path = Path(path)
        config = _archived.read(path, _is_backbone)
        own = _size(config)
        if size is None or size == own:
            return _archived.built(config, path)
        _set_size(config, size)
        try:
            return _archived.built(config, path)
        except InputError as error:
            raise InputError(
                f"{error} Its own size is {own[0]} x {own[1]} pixels, and {size[0]} x {size[1]} were asked for: try "
                "another, or take the size out of the encoder's row."
            ) from error

    @staticmethod
    def load(model: Any, path: Path) -> None:
        """Load the weights in the archive into a network that `restore` returned, for the archive's size or another.

        Raises:
            InputError: when the file is damaged, or weights depend on the size.
        """
        from cbir.encoders import weights

        _, height, width, _ = model.input_shape
        own = _size(_archived.read(Path(path), _is_backbone))
        if own == (width, height):
            return weights.load(model, path)
        # `archive.read` has checked each array. Layers of keras-hub adapt weights for another image size as they load.
        data = archive.read(path).data
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "all.weights.h5"
            file.write_bytes(data)
            try:
                model.load_weights(file)
            # Keras may raise any type of exception here.
            except Exception as error:
                raise InputError(
                    f"The weights of the network {model.name} are for images of {own[0]} x {own[1]} pixels and for no "
                    f"others ({_in_short(error)}): take the size out of the encoder's row."
                ) from error


def _require_keras_hub() -> None:
    if importlib.util.find_spec("keras_hub") is None:
        raise InputError(
            "The encoder's architecture is a preset of keras-hub, which is not installed: run `make extras`, or name "
            "another architecture."
        )


def _in_short(error: BaseException) -> str:
    # keras-hub says that a file does not exist, also where the hub could not be reached.
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_backbone(node: dict[str, Any]) -> bool:
    """Return whether a part of a configuration is a backbone of keras-hub itself, not of another package."""
    return _backbone_class(node) is not None


def _backbone_class(node: dict[str, Any]) -> Any:
    from keras_hub.models import Backbone

    found = registered(node)
    return found if is_kind_of(found, Backbone) else None


def is_kind_of(found: Any, base: Any) -> bool:
    """Tell whether something is a class, and a subclass of another one."""
    return inspect.isclass(found) and issubclass(found, base)


def registered(node: dict[str, Any]) -> Any:
    """Return the class of keras-hub that a configuration names; None if one of its names disagrees or is foreign."""
    import keras

    kind, registered, module = node.get("class_name"), node.get("registered_name"), node.get("module")
    found = keras.saving.get_registered_object(registered) if isinstance(registered, str) else None
    # Older presets name the package keras_nlp.
    same = str(registered).rpartition(">")[2] == kind == getattr(found, "__name__", None)
    ours = str(getattr(found, "__module__", "")).startswith("keras_hub.src.")
    return found if same and ours and str(module).partition(".")[0] in ("keras_hub", "keras_nlp") else None


def _read(preset: str) -> tuple[Any, Any, str]:
    """Return the backbone of a preset with its weights, its image converter, and the path of its configuration."""
    from keras_hub.layers import ImageConverter
    from keras_hub.src.utils import preset_utils

    # The loader would not say why it is not there.
    preset_utils.get_file(preset, _CONFIG)
    loader = preset_utils.get_preset_loader(preset)
    if "registered_name" in loader.config:
        _archived.require_harmless(loader.config, float("inf"), _is_backbone)
        loader.config = _plain(loader.config)
        kind = _backbone_class(loader.config)
        if kind is None:
            raise ValueError(f"{loader.config['registered_name']} is no backbone of keras-hub")
        converter = _converter(preset_utils.load_json(preset, preset_utils.IMAGE_CONVERTER_CONFIG_FILE))
    else:
        # A preset of another library; keras-hub converts its settings and weights, which are plain data.
        kind = loader.check_backbone_class()
        converter = loader.load_image_converter(preset_utils.find_subclass(preset, ImageConverter, kind))
    backbone = loader.load_backbone(kind, True, dtype="float32")
    return backbone, converter, preset_utils.get_file(preset, _CONFIG)


def _plain(node: Any) -> Any:
    """Return a configuration whose backbones compute in float32 and have the current names of their modules."""
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if not isinstance(node, dict):
        return node
    node = {name: _plain(value) for name, value in node.items()}
    if (kind := _backbone_class(node)) is not None:
        node["module"] = kind.__module__
        node["config"] = node["config"] | {"dtype": "float32"}
    return node


def _converter(config: dict[str, Any]) -> Any:
    """Return the image converter of a configuration."""
    from keras_hub.layers import ImageConverter

    kind = registered(config)
    if not is_kind_of(kind, ImageConverter):
        raise ValueError(f"{config.get('registered_name')} is no image converter of keras-hub")
    _archived.require_harmless(config["config"], float("inf"))
    return kind.from_config(config["config"])


def _image_network(backbone: Any, converter: Any) -> Any:
    """Return the image encoder of a backbone, which maps pixels from 0 to 255 to vectors, tokens or a feature map."""
    import keras
    from keras_hub.layers import ImageConverter

    from cbir.encoders.pooling import ClassToken

    if converter is None or any(
        getattr(type(converter), name) is not getattr(ImageConverter, name) for name in ("call", "_call_python")
    ):
        raise ValueError("it does not say by a scale and an offset what its network does to pixel values first")
    vision = getattr(backbone, "vision_encoder", None)
    vision = vision if isinstance(vision, keras.Model) else backbone
    taken, given = keras.tree.flatten(vision.input), keras.tree.flatten(vision.output)
    if len(taken) != 1 or len(taken[0].shape) != 4 or taken[0].shape[-1] != 3 or len(given) != 1:
        raise ValueError(f"{type(backbone).__name__} does not map images alone to one array of features")
    height, width = taken[0].shape[1:3]
    if None in (height, width):
        height, width = converter.image_size or (None, None)
    require_size((width, height), "the size of its images")
    inputs = keras.Input((height, width, 3), name="image")
    tensor = inputs
    if converter.scale is not None or converter.offset is not None:
        scale, offset = _numbers(converter.scale, 1.0), _numbers(converter.offset, 0.0)
        tensor = keras.layers.Rescaling(scale, offset, name="scale")(tensor)
    tensor = vision(keras.tree.pack_sequence_as(vision.input, [tensor]))
    # CLIP and MetaCLIP 2 project images into the space that they share with texts.
    projection = getattr(backbone, "vision_projection", None)
    if projection is not None or (len(tensor.shape) == 3 and _has_class_token(vision)):
        tensor = ClassToken(name="token")(tensor)
        # MetaCLIP 2 normalises the token outside its encoder.
        norm = getattr(backbone, "vision_post_layer_norm", None)
        tensor = tensor if norm is None else norm(tensor)
    if projection is not None:
        tensor = projection(tensor)
    return keras.Model(inputs, tensor, name=type(vision).__name__)


def _has_class_token(backbone: Any) -> bool:
    return bool(getattr(backbone, "use_class_token", type(backbone).__name__ in _CLASS_TOKEN))


def _numbers(value: float | Sequence[float] | None, otherwise: float) -> float | list[float]:
    if value is None:
        return otherwise
    return [float(number) for number in value] if isinstance(value, Sequence) else float(value)


def _size(config: dict[str, Any]) -> tuple[int, int]:
    """Return (width, height) of the images that the network of an archive takes."""
    size = tuple(_archived.input_layer(config)["config"].get("batch_shape") or ())[2:0:-1]
    require_size(size, "The size of the images in the archive")
    return size[0], size[1]


def _set_size(config: dict[str, Any], size: tuple[int, int]) -> None:
    _archived.set_size(config, size)
    for layer in filter(_is_backbone, config["config"]["layers"]):
        for key in ("image_shape", "input_shape"):
            # Many convolutional networks have None for width and height here.
            if None not in (layer["config"].get(key) or [None]):
                layer["config"][key] = [size[1], size[0], 3]
