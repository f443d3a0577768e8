"""Images of more than 8 bits a sample, as scanners, cameras and programs write them."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cbir.collection import images, ranges
from cbir.collection.depths import common_whites, white_among
from cbir.collection.images import ImageError

# Every grey level of 8 bits once, 16 x 16.
LEVELS = np.arange(256, dtype=np.uint16).reshape(16, 16)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def tags(**values: int) -> ImageFileDirectory_v2:
    directory = ImageFileDirectory_v2()
    numbers = {"smin": 340, "smax": 341, "max": 281}
    for name, value in values.items():
        directory.tagtype[numbers[name]] = 3
        directory[numbers[name]] = value
    return directory


def png(values: np.ndarray, sbit: int = 0) -> bytes:
    """Return a PNG with 16 bits a sample and 1 to 4 channels."""
    values = values.reshape(*values.shape[:2], -1)
    height, width, channels = values.shape
    kind = (0, 4, 2, 6)[channels - 1]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    significant = chunk(b"sBIT", bytes([sbit] * channels)) if sbit else b""
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + significant
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def grey(data: bytes) -> np.ndarray:
    decoded = np.asarray(images.decode(data))
    assert (decoded == decoded[..., :1]).all()
    return decoded[..., 0]


def notes(data: bytes) -> str:
    """Return the notes about the only image of a collection."""
    unstated = images.decode(data).info["unstated"]
    return ranges.note(unstated.bits, unstated.largest, 0) if unstated else ""


@pytest.mark.parametrize("form", ["TIFF", "PNG"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_values_of_fewer_bits_in_16_are_scaled(form: str, bits: int) -> None:
    # 255 becomes all ones: 4095 in 12 bits.
    values = (LEVELS.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    data = encoded(Image.fromarray(values), form)
    assert np.abs(grey(data).astype(int) - LEVELS).max() <= 1
    assert bool(notes(data)) == (bits < 16)
    if bits < 16:
        assert (
            f"values of {bits} bits in a file of 16 bits that does not state its range: {2**bits - 1} is taken"
            in notes(data)
        )


@pytest.mark.parametrize(
    ("bits", "kind"), [(8, np.int32), (12, np.int32), (16, np.int32), (31, np.int32), (32, np.uint32)]
)
def test_values_in_32_bits(bits: int, kind: type) -> None:
    values = (LEVELS.astype(np.uint64) * (2**bits - 1) // 255).astype(kind)
    if kind is np.uint32:
        data = encoded(Image.fromarray(values.view(np.int32)), "TIFF", tiffinfo=tags())
        # SampleFormat 2 means signed, 1 unsigned.
        at = data.index(struct.pack("<HHI", 339, 3, 1))
        data = data[: at + 8] + struct.pack("<H", 1) + data[at + 10 :]
    else:
        data = encoded(Image.fromarray(values), "TIFF")
    # With 31 bits 2^32 - 1 is white.
    wanted = LEVELS // 2 if bits == 31 else LEVELS
    assert np.abs(grey(data).astype(int) - wanted).max() <= 1


# Pillow cannot read a TIFF with two 16-bit samples.
@pytest.mark.parametrize(
    ("form", "mode"), [("TIFF", "RGB"), ("TIFF", "RGBA"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "LA")]
)
def test_colours_of_fewer_bits_in_16_are_scaled(form: str, mode: str) -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (8, 9, len(mode)), np.uint16)
    if mode.endswith("A"):
        colours[..., -1] = 255
    write = png if form == "PNG" else rgb_tiff
    data = write(colours)
    decoded = np.asarray(images.decode(data))
    assert np.array_equal(decoded, np.broadcast_to(colours[..., : 1 if mode == "LA" else 3], decoded.shape))
    assert "values of 8 bits" in notes(data)
    # If all bits of the file are used, the upper byte is taken.
    full = write(colours * 256)
    assert np.array_equal(np.asarray(images.decode(full)), decoded)
    assert notes(full) == ""


def rgb_tiff(values: np.ndarray) -> bytes:
    height, width, channels = values.shape
    data = values.astype("<u2").tobytes()
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, 400), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 500), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(data))]
    entries += [(338, 3, 1, 2)] if channels == 4 else []
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (head.ljust(400, b"\0") + struct.pack("<4H", 16, 16, 16, 16)).ljust(500, b"\0") + data


def test_a_file_that_states_its_range_gets_no_note() -> None:
    dim = (LEVELS.astype(int) * 4095 // 255 // 4).astype(np.uint16)
    for data in (
        encoded(Image.fromarray(dim), "TIFF", tiffinfo=tags(smax=4095)),
        encoded(Image.fromarray(dim), "TIFF", tiffinfo=tags(max=4095)),
        png(dim, sbit=12),
    ):
        # A quarter of white, although it is the brightest value of the file.
        assert np.abs(grey(data).astype(int) - LEVELS // 4).max() <= 1
        assert notes(data) == ""
    raised = encoded(Image.fromarray(LEVELS + 1000), "TIFF", tiffinfo=tags(smin=1000, smax=1255))
    assert np.array_equal(grey(raised), LEVELS)


def test_a_stated_range_that_cannot_be_right_is_ignored() -> None:
    for data in (
        # The image would be black, or has larger values.
        encoded(Image.fromarray(LEVELS), "TIFF", tiffinfo=tags(smax=65535)),
        encoded(Image.fromarray(LEVELS), "TIFF", tiffinfo=tags(smax=100)),
        png(LEVELS, sbit=16),
    ):
        assert np.array_equal(grey(data), LEVELS)
        assert "255 is taken for white" in notes(data)
    # Samples that use all bits, of which 8 are significant, as the standard recommends.
    assert np.array_equal(grey(png(LEVELS * 257, sbit=8)), LEVELS)


def test_floating_point_numbers_with_a_range_are_read() -> None:
    values = Image.fromarray((LEVELS / 255).astype(np.float32))
    with pytest.raises(ImageError, match="floating-point"):
        images.decode(encoded(values, "TIFF"))
    assert np.array_equal(grey(encoded(values, "TIFF", tiffinfo=tags(smax=1))), LEVELS)


def test_black_stays_black() -> None:
    assert grey(png(LEVELS * 0)).max() == 0
    assert notes(png(LEVELS * 0)) == ""


def test_an_image_of_12_bits_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(Image.fromarray(LEVELS[:4] * 16), "PNG", exif=exif)
    assert images.decode(data).size == (4, 16)


@pytest.mark.parametrize("tag", [(50706, 1, 4, 0x00000401), (330, 4, 1, 8)])
def test_the_thumbnail_of_a_raw_file_is_not_used(tag: tuple[int, ...]) -> None:
    pixels = bytes(64)
    entries = [(254, 4, 1, 1), (256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 300), (277, 3, 1, 1), (278, 3, 1, 8), (279, 4, 1, 64), tag]
    entries.sort()
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    with pytest.raises(ImageError, match="raw file"):
        images.decode(head.ljust(300, b"\0") + pixels)


@pytest.mark.parametrize("most", [66_000, 400_000, 20_000_000])
def test_a_sum_of_images_is_not_black(most: int) -> None:
    values = np.linspace(0, most, 400).reshape(20, 20).astype(np.int32)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF")
    pixels = np.asarray(images.decode(stream.getvalue()))
    # The smallest power of two above the largest value is at most twice as large.
    assert 127 <= pixels.max() <= 255 and "does not state its range" in notes(stream.getvalue())


# 4096 values in 12 bits, 256 in 8: below a sixteenth of white an image is black.
@pytest.mark.parametrize(
    ("largest", "whites"),
    [
        ([], []),
        ([0, 0], []),
        ([255, 200], [255]),
        ([3000, 257], [4095]),
        ([3000, 256, 200], [4095, 1023]),
        ([60000, 3000, 2000, 100], [65535, 4095, 255]),
        ([400_000, 65535], [2**19 - 1]),
        ([2**32 - 1, 1], [2**32 - 1, 1]),
    ],
)
def test_files_have_a_white_in_common_unless_it_makes_them_black(largest: list[int], whites: list[int]) -> None:
    assert common_whites(largest) == common_whites(reversed(largest)) == whites
    for value in largest:
        white = white_among(value, whites)
        assert white >= value and (value == 0 or 255 * value / white >= 16)
        # Among several whites with which it is not black, the largest.
        assert not any(other > white and 255 * value / other >= 16 for other in whites)


@pytest.mark.parametrize("write", [lambda values: encoded(Image.fromarray(values), "TIFF"), png])
def test_a_dark_photograph_of_the_same_camera_stays_dark(write: Callable[[np.ndarray], bytes]) -> None:
    bright, dark = write(LEVELS * 16), write(LEVELS * 4)
    alone, common = images.decode(dark), images.decode(dark, whites={16: [4095]})
    # The largest values, 1020 and 4080, of 1023 and 4095.
    assert np.asarray(alone).max() == np.asarray(images.decode(bright, whites={16: [4095]})).max() == 254
    assert np.abs(np.asarray(common)[..., 0].astype(int) - LEVELS // 4).max() <= 1
    assert common.info["unstated"] == (16, 1020, 4095)
    # Whites of files with other bit depths, or smaller than its values, are not used.
    for whites in ({32: [4095]}, {16: [255]}, {16: []}):
        assert np.array_equal(images.decode(dark, whites=whites), alone)
    stated = png(LEVELS * 4, sbit=12)
    assert np.array_equal(images.decode(stated, whites={16: [65535]}), images.decode(stated))


def test_an_image_that_uses_all_bits_decides_the_white_of_others() -> None:
    colours = np.stack([LEVELS * 256] * 3, axis=-1)
    assert images.decode(png(colours)).info["unstated"] == (16, 65535, 65535)
    dark = np.stack([LEVELS * 32] * 3, axis=-1)
    assert np.abs(np.asarray(images.decode(png(dark), whites={16: [65535]}), int)[..., 0] - LEVELS // 8).max() <= 1
    assert images.decode(encoded(Image.fromarray(LEVELS.astype(np.uint8)), "PNG")).info["unstated"] is None
