import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cbir.collection import depths, images
from cbir.collection.images import ImageError

# Four quadrants of plain colours, 32 x 16 pixels, so that rotation and mirroring are visible.
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def quadrants(width: int = 32, height: int = 16) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    pixels[top, left], pixels[top, right], pixels[bottom, left], pixels[bottom, right] = RED, GREEN, BLUE, YELLOW
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the pixels in the middle of the four quadrants, row by row."""
    across, down = image.width // 4, image.height // 4
    return [image.getpixel((x, y)) for y in (down, 3 * down) for x in (across, 3 * across)]


# The quadrants after applying each orientation of the EXIF standard (2.32, tag 274) to the stored R G / B Y.
UPRIGHT = {
    1: [RED, GREEN, BLUE, YELLOW],
    2: [GREEN, RED, YELLOW, BLUE],
    3: [YELLOW, BLUE, GREEN, RED],
    4: [BLUE, YELLOW, RED, GREEN],
    5: [RED, BLUE, GREEN, YELLOW],
    6: [BLUE, RED, YELLOW, GREEN],
    7: [YELLOW, GREEN, BLUE, RED],
    8: [GREEN, YELLOW, RED, BLUE],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    for form in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        image = images.decode(encoded(quadrants(), form, exif=exif, **options))
        assert image.size == ((32, 16) if orientation < 5 else (16, 32)), form
        assert corners(image) == UPRIGHT[orientation], form
    jpeg = images.decode(encoded(quadrants(), "JPEG", exif=exif, quality=95, subsampling=0))
    assert np.abs(np.subtract(corners(jpeg), UPRIGHT[orientation])).max() <= 4


def test_orientation_is_applied_to_the_input_of_networks() -> None:
    exif = Image.Exif()
    exif[274] = 6
    image = images.decode(encoded(quadrants(1024, 512), "JPEG", exif=exif, quality=95), (224, 224))
    assert np.abs(np.subtract(corners(image), UPRIGHT[6])).max() <= 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_image_with_damaged_exif_data_is_used() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95)
    assert images.decode(data).size == (32, 16)


def test_a_transparent_palette_is_composited_onto_white() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2, 0])
    for form in ("PNG", "GIF"):
        assert images.decode(encoded(image, form, transparency=1)).getpixel((1, 0)) == (255, 255, 255)
        assert images.decode(encoded(image, form, transparency=1)).getpixel((2, 0)) == BLUE


def test_half_transparency_is_mixed_with_white() -> None:
    # 0 at opacity 128/255 on white: 255 * 127/255 = 127.
    for image in (Image.new("LA", (2, 2), (0, 128)), Image.new("RGBA", (2, 2), (0, 0, 0, 128))):
        assert images.decode(encoded(image, "PNG")).getpixel((0, 0)) == (127, 127, 127)


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    # 65535 = 255 * 257.
    for form in ("PNG", "TIFF"):
        found = images.decode(encoded(Image.fromarray(values), form))
        assert [found.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 127, 255], form


def test_sixteen_bits_of_the_other_byte_order() -> None:
    values = np.array([[0, 65535]], ">u2")
    image = Image.frombytes("I;16B", (2, 1), values.tobytes())
    assert [depths.to_eight_bits(image, b"")[0].getpixel((x, 0)) for x in range(2)] == [0, 255]


def test_cmyk_grey_and_one_bit() -> None:
    # Full cyan absorbs only red.
    assert images.decode(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF")).getpixel((0, 0)) == (0, 255, 255)
    jpeg = images.decode(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG")).getpixel((4, 4))
    assert np.abs(np.subtract(jpeg, (0, 255, 255))).max() <= 4
    assert images.decode(encoded(Image.new("L", (8, 8), 77), "BMP")).getpixel((0, 0)) == (77, 77, 77)
    assert images.decode(encoded(Image.new("1", (8, 8), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    for form in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert images.decode(data).getpixel((0, 0)) == RED, form


@pytest.mark.parametrize("form", images.FORMATS)
def test_the_format_is_found_by_content(tmp_path: Path, form: str) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(encoded(quadrants(), form))
    pixels = images.load(path, (32, 16))
    assert pixels.shape == (16, 32, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[4, 24].astype(int) - GREEN).max() <= 40


def test_other_formats_are_not_opened() -> None:
    for form in ("PPM", "ICO", "TGA"):
        with pytest.raises(ImageError, match="not an image in a supported format"):
            images.decode(encoded(quadrants(), form))
    # An EPS file is a program, which Ghostscript would run.
    with pytest.raises(ImageError, match="not an image"):
        images.decode(encoded(quadrants(), "EPS"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(form: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, form)
    with pytest.raises(ImageError):
        images.decode(data[: int(share * len(data))])


@pytest.mark.filterwarnings("ignore")
@given(
    form=st.sampled_from(images.FORMATS), edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), max_size=4)
)
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_give_an_image_or_an_image_error(form: str, edits: list[tuple[float, bytes]]) -> None:
    data = bytearray(encoded(quadrants(), form))
    for place, put in edits:
        start = int(place * len(data))
        data[start : start + len(put)] = put
    try:
        assert images.decode(bytes(data), (8, 8)).mode == "RGB"
    except ImageError as error:
        assert str(error).isprintable()


def png_header(width: int, height: int) -> bytes:
    """Return a PNG whose header states a size and which has almost no data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_decoding(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="100,000,000"):
        images.decode(png_header(width, height))


def many_scans(form: str, scans: int) -> bytes:
    """Return a progressive JPEG, alone or in a TIFF, whose last scan is repeated this many times."""
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    data = data[:-2] + data[data.rindex(b"\xff\xda") : -2] * scans + data[-2:]
    if form == "JPEG":
        return data
    tags = [(256, 4, 1, 4000), (257, 4, 1, 4000), (258, 3, 1, 8), (259, 3, 1, 7), (262, 3, 1, 6), (273, 4, 1, 200)]
    tags += [(277, 3, 1, 3), (278, 4, 1, 4000), (279, 4, 1, len(data))]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return head.ljust(200, b"\0") + data


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_a_jpeg_of_too_many_scans_is_refused_before_decoding(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.decode(many_scans(form, 2), (8, 8)).size == (8, 8)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="scans of 4000 x 4000"):
        images.decode(many_scans(form, 300))


def test_a_sequential_jpeg_of_too_many_scans_is_refused_before_decoding() -> None:
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG")
    start = data.rindex(b"\xff\xda")
    # Of the three components that a scan has, the first (each of two bytes).
    scan = data[start : start + 2] + b"\0\x08\1" + data[start + 5 : start + 7] + data[start + 11 : -2]
    with pytest.raises(ImageError, match="300 scans of 4000 x 4000"):
        images.decode(data[:start] + scan * 300 + data[-2:])


def test_photographs_do_not_have_too_many_scans() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8))
    assert images.decode(encoded(noise, "JPEG", progressive=True)).size == (2000, 2000)
    # Bytes of other formats may look like scans.
    assert images.decode(encoded(noise, "TIFF")).size == (2000, 2000)


@pytest.mark.slow
def test_large_images_in_many_threads_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Eight transparent images of 16 million pixels take 350 MB each while decoded; the limit admits one at a time."""
    bomb = encoded(Image.new("LA", (4000, 4000), (1, 0)), "PNG")
    assert len(bomb) < 100_000
    (tmp_path / "bomb.png").write_bytes(bomb)
    code = (
        "import sys; from concurrent.futures import ThreadPoolExecutor\n"
        "from cbir.collection import images; from memory import peak\n"
        "load = lambda path: images.load(path, (224, 224))\n"
        "images._free = 20_000_000\n"
        "with ThreadPoolExecutor(8) as pool: print(len(list(pool.map(load, sys.argv[1:] * 8))))\n"
        "print(peak() // 1_000_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.png")],
        # The allocator returns freed memory at once, so that the peak is the memory in use.
        env={
            "PYTHONPATH": f"{Path(images.__file__).parents[2]}:{Path(__file__).parents[1]}",
            "MALLOC_MMAP_THRESHOLD_": "65536",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    count, megabytes = map(int, done.stdout.split())
    assert count == 8
    # One at a time takes 355, two 665, all eight 2,320.
    assert megabytes < 500


def test_warnings_of_pillow_are_not_logged() -> None:
    # A directory of tags that all claim more data than the file has.
    tags = b"".join(struct.pack(">HHII", number + 300, 2, 10**6, 8) for number in range(1000))
    exif = b"MM\0*" + struct.pack(">IH", 8, 1001) + struct.pack(">HHII", 274, 3, 1, 6 << 16) + tags + bytes(4)
    code = "import sys; from cbir.collection import images; print(images.decode(sys.stdin.buffer.read()).size)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=encoded(quadrants(32, 16), "PNG", exif=exif),
        env={"PYTHONPATH": str(Path(images.__file__).parents[2])},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"(16, 32)\n", b"")


def test_data_that_is_no_image_is_refused() -> None:
    with pytest.raises(ImageError, match="not an image"):
        images.decode(b"Dear Sir or Madam")
    with pytest.raises(ImageError, match="floating-point"):
        images.decode(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))


def test_a_path_that_is_no_readable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"12345")
    reasons = {
        "empty": "empty file",
        "fifo": "not a regular file",
        ".": "not a regular file",
        "missing": "does not exist",
        "loop": "does not exist",
        "x" * 300: "File name too long|does not exist",
    }
    for name, reason in reasons.items():
        with pytest.raises(ImageError, match=reason):
            images.read_bytes(tmp_path / name)
    monkeypatch.setattr(images, "MAX_BYTES", 4)
    with pytest.raises(ImageError, match="file of 5 bytes"):
        images.read_bytes(tmp_path / "file")


def test_an_unreadable_file_is_an_image_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"1")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match=r"unreadable \(Permission denied\)"):
        images.read_bytes(tmp_path / "a")


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    # Smooth, as photographs are at this scale.
    y, x = np.mgrid[0:1600, 0:2400] / 400
    waves = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1)
    data = encoded(Image.fromarray((127.5 * waves + 127.5).astype(np.uint8)), "JPEG", quality=92)
    drafted = np.asarray(images.decode(data, (224, 224)), dtype=int)
    whole = np.asarray(images.decode(data).resize((224, 224), Image.Resampling.BILINEAR), dtype=int)
    assert np.abs(drafted - whole).mean() < 1
    assert np.abs(drafted - whole).max() < 12


def test_sizes_and_thumbnails(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 8
    (tmp_path / "a.jpg").write_bytes(encoded(quadrants(400, 200), "JPEG", exif=exif))
    info = images.inspect((tmp_path / "a.jpg").read_bytes())
    assert (info.width, info.height) == (200, 400)
    assert images.thumbnail(tmp_path / "a.jpg", 100).size == (50, 100)
    assert images.load(tmp_path / "a.jpg", (224, 224)).shape == (224, 224, 3)


def test_pictures_of_phones_with_a_second_image_inside() -> None:
    data = encoded(quadrants(), "MPO", save_all=True, append_images=[quadrants()])
    assert images.decode(data).size == (32, 16)


def test_a_centred_crop_keeps_proportions(tmp_path: Path) -> None:
    """As the usual way: the shorter side is brought to the size, then the middle is cut out."""
    pixels = np.zeros((30, 90, 3), np.uint8)
    for third in range(3):
        pixels[:, 30 * third : 30 * (third + 1), third] = 255
    for name, turned, whole, box in (
        ("wide.png", pixels, (30, 10), (10, 0, 20, 10)),
        ("high.png", pixels.swapaxes(0, 1), (10, 30), (0, 10, 10, 20)),
    ):
        Image.fromarray(turned).save(tmp_path / name)
        expected = np.asarray(Image.fromarray(turned).resize(whole, Image.Resampling.BILINEAR).crop(box))
        assert np.array_equal(images.load(tmp_path / name, (10, 10), "centre"), expected)
        assert (expected[2:-2, 2:-2] == (0, 255, 0)).all()
        assert not np.array_equal(images.load(tmp_path / name, (10, 10)), expected)
    # With the proportions of the size, nothing is cut off.
    assert np.array_equal(
        images.load(tmp_path / "wide.png", (9, 3), "centre"), images.load(tmp_path / "wide.png", (9, 3))
    )
    # The scale that libjpeg decodes at is not smaller than the part that is kept.
    Image.fromarray(np.repeat(np.repeat(pixels, 8, 0), 8, 1)).save(tmp_path / "wide.jpg", quality=95)
    assert (images.load(tmp_path / "wide.jpg", (28, 28), "centre")[:, 2:-2, 1] > 240).all()
