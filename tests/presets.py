"""Tiny keras-hub presets with random weights, saved by keras-hub."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import sentencepiece
from keras_hub import layers, models

from cbir.encoders.architectures._layers import numbered_anew

SHAPE = (32, 32, 3)
SCALE, OFFSET = [1 / 127.5, 1 / 100, 1 / 64], [-1.0, -0.5, 0.25]


def clip() -> Any:
    vision = models.CLIPVisionEncoder(8, 16, 2, 2, 32, image_shape=SHAPE, name="vision_encoder")
    text = models.CLIPTextEncoder(50, 16, 16, 2, 2, 32, max_sequence_length=8, name="text_encoder")
    return models.CLIPBackbone(vision, text, 12)


def siglip() -> Any:
    vision = models.SigLIPVisionEncoder(8, 16, 2, 2, 32, image_shape=SHAPE, name="vision_encoder")
    text = models.SigLIPTextEncoder(50, 16, 16, 2, 2, 32, max_sequence_length=8, projection_dim=16, name="text_encoder")
    return models.SigLIPBackbone(vision, text)


def metaclip2() -> Any:
    vision = models.MetaCLIP2VisionEncoder(8, 16, 2, 2, 32, image_shape=SHAPE, name="vision_encoder")
    text = models.MetaCLIP2TextEncoder(50, 16, 16, 2, 2, 32, max_sequence_length=8, name="text_encoder")
    return models.MetaCLIP2Backbone(vision, text, 12)


def dinov2() -> Any:
    return models.DINOV2Backbone(
        8, 2, 16, 2, 32, num_register_tokens=1, image_shape=SHAPE, position_embedding_shape=(48, 48, 3)
    )


def vit() -> Any:
    return models.ViTBackbone(SHAPE, 8, 2, 2, 16, 32)


def efficientnet() -> Any:
    return models.EfficientNetBackbone(
        stackwise_width_coefficients=[0.5],
        stackwise_depth_coefficients=[0.5],
        stackwise_kernel_sizes=[3],
        stackwise_num_repeats=[1],
        stackwise_input_filters=[32],
        stackwise_output_filters=[16],
        stackwise_expansion_ratios=[1],
        stackwise_strides=[2],
        stackwise_squeeze_and_excite_ratios=[0.25],
        stackwise_block_types=["v1"],
        min_depth=8,
        input_shape=(None, None, 3),
    )


# Of each family: the backbone, its image converter, and keras-hub's own features of preprocessed images.
FAMILIES: dict[str, tuple[Callable[[], Any], Any, Callable[[Any, Any], Any]]] = {
    "DINOv2": (dinov2, layers.DINOV2ImageConverter, lambda net, images: net({"images": images})[:, 0]),
    "SigLIP": (siglip, layers.SigLIPImageConverter, lambda net, images: net.get_vision_embeddings(images)),
    "CLIP": (clip, layers.CLIPImageConverter, lambda net, images: net.get_vision_embeddings(images)),
    "MetaCLIP2": (metaclip2, layers.MetaCLIP2ImageConverter, lambda net, images: net.get_vision_embeddings(images)),
    "ViT": (vit, layers.ViTImageConverter, lambda net, images: net(images)[:, 0]),
    "EfficientNet": (
        efficientnet,
        layers.EfficientNetImageConverter,
        lambda net, images: keras.ops.mean(net(images), axis=(1, 2)),
    ),
}


def clip_tokens() -> Any:
    """Return a tokenizer of letters and of the merged tokens ``re`` and ``red``."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["!", *letters, "d</w>", "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    words += [f"{letter}</w>" for letter in "bt"]
    vocabulary = {word: number for number, word in enumerate(sorted(words, key=lambda word: word.startswith("<|")))}
    return models.CLIPTokenizer(vocabulary, ["r e", "re d</w>"])


def _sentence_pieces(**special: int) -> bytes:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red bird", "the blue sea", "two green birds"]),
        model_writer=written,
        vocab_size=20,
        minloglevel=2,
        **special,
    )
    return written.getvalue()


# Of each family with a text encoder: its tokenizer and its preprocessor of texts.
TEXTS: dict[str, tuple[Callable[[], Any], Any]] = {
    "CLIP": (clip_tokens, models.CLIPPreprocessor),
    "SigLIP": (
        lambda: models.SigLIPTokenizer(_sentence_pieces(pad_id=-1, bos_id=-1, eos_id=1, unk_id=2)),
        models.SigLIPPreprocessor,
    ),
    "MetaCLIP2": (lambda: models.MetaCLIP2Tokenizer(_sentence_pieces()), models.MetaCLIP2CausalLMPreprocessor),
}


def save(family: str, folder: Path) -> Any:
    """Save a preset whose weights are all random, and return its backbone as opened by keras-hub."""
    make, converter, _ = FAMILIES[family]
    with numbered_anew():
        backbone = make()
    random = np.random.default_rng(1)
    for variable in backbone.variables:
        whole = variable.dtype.startswith("int")
        values = np.arange(np.prod(variable.shape)) if whole else np.abs(random.normal(0, 0.3, variable.shape))
        signs = 1 if family == "EfficientNet" or whole else random.choice([-1, 1], variable.shape)
        variable.assign(values.reshape(variable.shape) * signs)
    backbone.save_to_preset(folder)
    converter = converter(image_size=SHAPE[:2], scale=SCALE, offset=OFFSET)
    converter.save_to_preset(folder)
    if family in TEXTS:
        tokenizer, preprocessor = TEXTS[family]
        preprocessor(tokenizer(), converter, sequence_length=8).save_to_preset(folder)
    return models.Backbone.from_preset(str(folder))
