"""Tiny presets of keras-hub with random weights, saved as keras-hub saves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
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


# The backbone, its image converter, and what it gives of preprocessed images by keras-hub's own means.
FAMILIES: dict[str, tuple[Callable[[], Any], Any, Callable[[Any, Any], Any]]] = {
    "DINOv2": (dinov2, layers.DINOV2ImageConverter, lambda net, images: net({"images": images})[:, 0]),
    "SigLIP": (siglip, layers.SigLIPImageConverter, lambda net, images: net.get_vision_embeddings(images)),
    "CLIP": (clip, layers.CLIPImageConverter, lambda net, images: net.get_vision_embeddings(images)),
    "ViT": (vit, layers.ViTImageConverter, lambda net, images: net(images)[:, 0]),
    "EfficientNet": (
        efficientnet,
        layers.EfficientNetImageConverter,
        lambda net, images: keras.ops.mean(net(images), axis=(1, 2)),
    ),
}


def save(family: str, folder: Path) -> Any:
    """Save a preset whose weights are all random, and return its backbone as keras-hub opens it."""
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
    converter(image_size=SHAPE[:2], scale=SCALE, offset=OFFSET).save_to_preset(folder)
    return models.Backbone.from_preset(str(folder))
