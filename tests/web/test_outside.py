"""Images from outside the collection."""

import hashlib
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.collection import images
from cbir.features import transforms
from cbir.files.errors import InputError
from cbir.files.tables import write_json
from cbir.retrieval import outside
from cbir.web.library import Library
from cbir.web.outside import OutsideImages
from web.made import embed


def png(colour: tuple[int, int, int] = (200, 30, 90), format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(stream, format)
    return stream.getvalue()


@pytest.fixture
def held(library: Library, network: list[Path]) -> OutsideImages:
    return OutsideImages(library)


def test_an_image_is_identified_by_its_content(held: OutsideImages) -> None:
    data = png()
    digest = held.add(data, "holiday.jpg")
    assert digest == hashlib.sha256(data).hexdigest()
    upload = held.get(digest)
    # The format is recognised by the content and not by the file name.
    assert (upload.data, upload.name, upload.suffix) == (data, "holiday.jpg", ".png")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image in a supported format"),
        (png(format="JPEG")[:-200], "damaged or truncated"),
        (png()[:60], "damaged or truncated"),
    ],
)
def test_data_that_is_no_image_is_refused_with_the_reason(held: OutsideImages, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        held.add(data, "x.png")


def test_an_image_of_too_many_pixels_is_refused(held: OutsideImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 599)
    with pytest.raises(InputError, match="30 x 20 pixels, more than the 599 allowed"):
        held.add(png(), "x.png")


def test_a_hostile_name_cannot_reverse_the_text_around_it(held: OutsideImages) -> None:
    with pytest.raises(InputError) as caught:
        held.add(b"no", "a\u202egnp.\nexe")
    assert str(caught.value).isprintable()


def test_only_the_newest_images_are_kept(held: OutsideImages) -> None:
    digests = [held.add(png((number, 0, 0)), "x.png") for number in range(33)]
    assert held.get(digests[1]).name == "x.png"
    with pytest.raises(InputError, match="drop it again"):
        held.get(digests[0])


def test_features_are_computed_from_the_preprocessed_image(held: OutsideImages) -> None:
    data = png()
    vector = held.vector("tiny", held.add(data, "x.png"), 60)
    np.testing.assert_array_equal(vector, embed(np.full((1, 224, 224, 3), (200, 30, 90), np.uint8))[0])


def test_features_of_a_derived_method_are_computed_from_its_parts(held: OutsideImages) -> None:
    vector = held.vector("unit", held.add(png(), "x.png"), 60)
    # tiny gives (200, 30, 90, 170, 1), of length sqrt(40000 + 900 + 8100 + 28900 + 1).
    np.testing.assert_allclose(vector, np.array([200, 30, 90, 170, 1]) / 77901**0.5, rtol=1e-6)


def test_a_network_is_opened_once_with_the_first_image(held: OutsideImages, network: list[Path]) -> None:
    first, second = held.add(png(), "x.png"), held.add(png((1, 2, 3)), "y.png")
    assert network == []
    for digest in (first, second):
        for method in ("tiny", "unit"):
            assert held.vector(method, digest, 60) is not None
    assert [path.name for path in network] == ["tiny.keras"]


def test_an_image_is_encoded_once_for_all_methods_of_an_encoder(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    monkeypatch.setattr(
        outside, "open_network", lambda path, fingerprint, batch: lambda pixels: (runs.append(1), embed(pixels))[1]
    )
    held = OutsideImages(library)
    digest = held.add(png(), "x.png")
    for method in ("unit", "tiny"):
        assert held.vector(method, digest, 60) is not None
    assert len(runs) == 1


def test_other_requests_do_not_wait_while_a_network_is_loading(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    monkeypatch.setattr(outside, "open_network", lambda path, fingerprint, batch: (loaded.wait(60), embed)[1])
    held = OutsideImages(library)
    digest = held.add(png(), "x.png")
    assert held.vector("tiny", digest, 0) is None
    assert held.vector("tiny", digest, 0) is None
    loaded.set()
    assert held.vector("tiny", digest, 60) is not None


def test_a_network_other_than_the_features_is_refused_and_tried_again(library: Library, results: Path) -> None:
    held = OutsideImages(library)
    digest = held.add(png(), "x.png")
    write_json(results / "encoders" / "tiny.json", {"fingerprint": "g"})
    for _ in range(2):
        with pytest.raises(InputError, match=r"tiny\.keras is not the one that made the features"):
            held.vector("tiny", digest, 60)
    (results / "encoders" / "tiny.json").unlink()
    with pytest.raises(InputError, match=r"tiny\.json does not exist"):
        held.vector("tiny", digest, 60)


def test_a_transform_other_than_the_features_is_refused(held: OutsideImages, results: Path) -> None:
    fitted = transforms.fit({"transform": "l2", "of": "tiny"}, [np.ones((2, 5), np.float32)])
    transforms.save(results / "transforms" / "unit.h5", fitted, {"fingerprint": "other", "parts": '["tiny"]'})
    with pytest.raises(InputError, match=r"unit\.h5 is not the one that made the features"):
        held.vector("unit", held.add(png(), "x.png"), 60)


def test_an_error_of_the_program_is_reported_without_internal_details(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, fingerprint: str, batch: int) -> None:
        raise RuntimeError("/secret")

    monkeypatch.setattr(outside, "open_network", fail)
    held = OutsideImages(library)
    with pytest.raises(InputError, match="the terminal of the server shows the reason") as caught:
        held.vector("tiny", held.add(png(), "x.png"), 60)
    assert "secret" not in str(caught.value)
