import keras
import numpy as np

from cbir.encoders.architectures import mobilenetv2, siamese


def test_siamese_has_the_documented_layers_and_parameters() -> None:
    # Name, output shape, parameters: 3*3*3*64 + 64, 4*64, 3*3*64*128 + 128, 3*3*128*256 + 256, 256*128 + 128.
    expected = [
        ("image", (None, 224, 224, 3), 0),
        ("divide", (None, 224, 224, 3), 0),
        ("shift", (None, 224, 224, 3), 0),
        ("conv1", (None, 224, 224, 64), 1792),
        ("norm1", (None, 224, 224, 64), 256),
        ("pool1", (None, 112, 112, 64), 0),
        ("conv2", (None, 112, 112, 128), 73856),
        ("pool2", (None, 56, 56, 128), 0),
        ("conv3", (None, 56, 56, 256), 295168),
        ("pool3", (None, 28, 28, 256), 0),
        ("average", (None, 256), 0),
        ("embedding", (None, 128), 32896),
    ]
    network = siamese.build(siamese.SIZE)
    assert [(layer.name, layer.output.shape, layer.count_params()) for layer in network.layers] == expected
    assert network.name == "siamese"


def test_siamese_weights_depend_only_on_the_seed() -> None:
    kernels = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        kernels.append(
            [keras.ops.convert_to_numpy(v) for v in siamese.build(siamese.SIZE).trainable_weights if "kernel" in v.path]
        )
    assert [np.array_equal(a, b) for a, b in zip(kernels[0], kernels[1], strict=True)] == [True] * 4
    assert [np.array_equal(a, b) for a, b in zip(kernels[0], kernels[2], strict=True)] == [False] * 4


def test_mobilenetv2_gives_1280_values_and_all_layers_are_trainable() -> None:
    network = mobilenetv2.build(mobilenetv2.SIZE)
    assert network.input_shape == (None, 224, 224, 3)
    assert network.output_shape == (None, 1280)
    # Keras Applications documents 3,538,984 for the whole of MobileNetV2; its classifier has 1280 * 1000 + 1000.
    assert network.count_params() == 2_257_984
    assert len(network.get_weights()) == 260
    assert all(layer.trainable for layer in network.layers)
