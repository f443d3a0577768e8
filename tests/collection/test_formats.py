"""The formats of files, and the structure of JPEGs."""

import io

import numpy as np
import pytest
from PIL import Image, features

from cbir.collection import formats, images, jpeg
from cbir.collection.images import ImageError
from scenes import scene


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


HEADS = {
    "Photoshop": b"8BPS\0\1",
    "PDF": b"%PDF-1.7",
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
    "SVG": b'<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "a video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "a QuickTime video": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "Canon's raw format CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "Fujifilm's raw format RAF": b"FUJIFILMCCD-RAW 0201",
    "an archive": b"PK\x03\x04",
    "DICOM": bytes(128) + b"DICM",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_file_that_cannot_be_read_is_reported_by_its_format(name: str) -> None:
    assert formats.format_of(HEADS[name]) == name
    with pytest.raises(ImageError, match="not an image in a supported format") as error:
        images.decode(HEADS[name] + bytes(5000))
    assert str(error.value).endswith(f"({name})")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF"])
def test_formats_that_pillow_writes_are_known(form: str) -> None:
    assert formats.format_of(encoded(scene(0, 32), form.upper())) == form


@pytest.mark.parametrize("form", ["AVIF", "JPEG2000", "HEIF"])
def test_newer_formats_are_read(form: str) -> None:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif form == "AVIF":
        assert features.check("avif")
    # Grey, because colours have half the resolution.
    picture = scene(0).convert("L").convert("RGB")
    data = encoded(picture, form)
    assert np.abs(np.asarray(images.decode(data), int) - np.asarray(picture, int)).mean() < 4
    name = {"HEIF": "HEIC", "JPEG2000": "JPEG 2000"}.get(form, form)
    with pytest.raises(ImageError, match=f"damaged or truncated.*{name}"):
        images.decode(data[: len(data) // 8])


def test_a_damaged_heic_file_is_called_heic() -> None:
    with pytest.raises(ImageError, match="HEIC"):
        images.decode(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(4000))


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_after_the_end_of_a_jpeg_are_ignored(progressive: bool) -> None:
    data = encoded(scene(0), "JPEG", progressive=progressive)
    scans, end = jpeg.count_scans(data)
    assert end == len(data)
    assert (scans > 5) == progressive
    trailer = b"\xff\xda" * 100_000
    assert jpeg.count_scans(data + trailer) == (scans, end)
    assert np.array_equal(np.asarray(images.decode(data + trailer)), np.asarray(images.decode(data)))


def test_markers_in_the_metadata_of_a_jpeg_are_not_counted_as_scans() -> None:
    exif = Image.Exif()
    exif[0x9286] = "x\xff\xda" * 20
    data = encoded(scene(0, 32), "JPEG", exif=exif, comment=b"\xff\xda" * 500)
    assert data.count(b"\xff\xda") > 500
    assert jpeg.count_scans(data)[0] == 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_jpeg_without_its_last_bytes_is_used_with_a_note(progressive: bool, cut: int) -> None:
    data = encoded(scene(0), "JPEG", progressive=progressive)
    decoded = images.decode(data[:-cut])
    assert decoded.info["notes"][0].startswith("lacks its last bytes")
    whole = np.asarray(images.decode(data))
    assert np.array_equal(np.asarray(decoded)[:-16], whole[:-16])
    if cut <= 2:
        assert decoded.info["notes"] == ["lacks its last bytes: 0 of its rows may be incomplete"]
        assert np.array_equal(np.asarray(decoded), whole)
    assert images.decode(data[:-cut], (32, 32)).size == (32, 32)


@pytest.mark.parametrize("progressive", [False, True])
def test_half_a_jpeg_is_damaged(progressive: bool) -> None:
    data = encoded(scene(0), "JPEG", progressive=progressive)
    for kept in (0.3, 0.5, 0.9):
        with pytest.raises(ImageError, match="damaged or truncated"):
            images.decode(data[: int(len(data) * kept)])


def transparent(colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (40, 40), (*colour, 0))
    image.paste((*colour, 255), (10, 10, 30, 30))
    return image


@pytest.mark.parametrize("colour", [(255, 255, 255), (240, 245, 250)])
def test_white_on_transparent_is_composited_onto_black(colour: tuple[int, int, int]) -> None:
    decoded = images.decode(encoded(transparent(colour), "PNG"))
    assert (decoded.getpixel((0, 0)), decoded.getpixel((20, 20))) == ((0, 0, 0), colour)
    assert decoded.info["notes"] == ["white on a transparent ground: shown on black"]


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 0), (200, 30, 30)])
def test_a_transparent_image_with_contrast_on_white_is_composited_onto_white(colour: tuple[int, int, int]) -> None:
    decoded = images.decode(encoded(transparent(colour), "PNG"))
    assert (decoded.getpixel((0, 0)), decoded.getpixel((20, 20))) == ((255, 255, 255), colour)
    assert decoded.info["notes"] == []


def test_flat_images_are_noted() -> None:
    assert images.is_flat(images.decode(encoded(Image.new("RGB", (50, 50), "navy"), "JPEG")))
    assert images.is_flat(images.decode(encoded(Image.new("RGBA", (50, 50), (255, 255, 255, 0)), "PNG")))
    assert not images.is_flat(images.decode(encoded(transparent((0, 0, 0)), "PNG")))
