"""The part of a preset of keras-hub that takes texts: its tokenizer and its text encoder."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.encoders.architectures import _archived, hub

# What a tokenizer's configuration names its files by; they are read from the preset alone.
_FILES = ("vocabulary", "merges", "proto")
# Choices of a preprocessor that are plain data.
_CHOICES = ("sequence_length", "add_start_token", "add_end_token", "to_lower", "canonicalize_text")


def embedder(backbone: Any, preset: str) -> Callable[[str], NDArray[np.float32]]:
    """Return a function from a text to its vector (d,) in the space that a backbone's images and texts share.

    Args:
        backbone: a network of keras-hub, with its weights. Only its part for texts is kept.
        preset: where it came from, which holds its tokenizer.

    Raises:
        ValueError: when it takes no texts.
        Exception: nearly any, when the tokenizer is missing or damaged.
    """
    import keras

    if not hasattr(backbone, "get_text_embeddings"):
        raise ValueError(f"{type(backbone).__name__} takes no texts")
    preprocessor = _preprocessor(backbone, preset)
    tokens = keras.Input((None,), dtype="int32", name="token_ids")
    model = keras.Model(tokens, backbone.get_text_embeddings(tokens), name="texts")

    def embed(text: str) -> NDArray[np.float32]:
        found = model(preprocessor({"prompts": [text], "images": None})["token_ids"], training=False)
        return np.asarray(keras.ops.convert_to_numpy(found), np.float32)[0]

    return embed


def _preprocessor(backbone: Any, preset: str) -> Any:
    """Return what turns texts into tokens for a backbone, as its preset says."""
    from keras_hub.models import Preprocessor
    from keras_hub.src.utils import preset_utils

    kind = preset_utils.find_subclass(preset, Preprocessor, type(backbone))
    choices = {}
    if preset_utils.check_file_exists(preset, preset_utils.PREPROCESSOR_CONFIG_FILE):
        config = preset_utils.load_json(preset, preset_utils.PREPROCESSOR_CONFIG_FILE)
        if hub.registered(config) is kind:
            choices = {name: config["config"][name] for name in _CHOICES if name in config["config"]}
    preprocessor = kind(tokenizer=_tokenizer(backbone, preset), image_converter=None, **choices)
    # The positions that the text encoder knows end here.
    preprocessor.sequence_length = min(preprocessor.sequence_length, backbone.text_encoder.max_sequence_length)
    return preprocessor


def _tokenizer(backbone: Any, preset: str) -> Any:
    from keras_hub.src.utils import preset_utils
    from keras_hub.tokenizers import Tokenizer

    loader = preset_utils.get_preset_loader(preset)
    if "registered_name" not in loader.config:
        return loader.load_tokenizer(preset_utils.find_subclass(preset, Tokenizer, type(backbone)))
    config = preset_utils.load_json(preset, preset_utils.TOKENIZER_CONFIG_FILE)
    kind = hub.registered(config)
    if not hub.is_kind_of(kind, Tokenizer):
        raise ValueError(f"{config.get('registered_name')} is no tokenizer of keras-hub")
    given = config["config"]
    _archived.require_harmless(given, float("inf"))
    tokenizer = kind.from_config(given | {name: None for name in _FILES if name in given})
    tokenizer.load_preset_assets(preset)
    return tokenizer
