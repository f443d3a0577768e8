"""The view of one large image, and the download of its file."""

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from cbir.web.library import Library
from web.made import HOSTILE
from web.test_app import OWN, SEARCH, link, upload


def test_a_picture_links_to_its_large_view_and_to_similar_images(client: FlaskClient, library: Library) -> None:
    results = client.get(SEARCH).text
    address = link(results, "look-0")
    page = client.get(address).text
    sha256 = address.split("?")[0].rsplit("/", 1)[1]
    image = library.pictures[sha256]
    assert f"/pictures/{sha256}.webp" in page and image.image_id in page and "24 x 24 pixels" in page
    similar = client.get(link(page, "similar")).text
    assert f"<bdi>{image.name}</bdi></h1>" in similar and "Nearest images" in similar
    file = client.get(link(page, "original"))
    assert (file.data, file.mimetype) == (image.path.read_bytes(), "image/png")
    # The link back leads to the previous page.
    assert SEARCH.split("?")[1].split("&")[1] in page


def test_an_uploaded_image_is_shown_large_too(client: FlaskClient) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (2000, 30), "red").save(stream, "TIFF")
    page = client.get(upload(client, stream.getvalue(), "scan <1>.tif").location).text
    look = client.get(link(page, "look-query")).text
    assert "scan &lt;1&gt;.tif" in look
    # A browser shows no TIFF: it is saved as a file, under its own name.
    original = client.get(link(look, "original"))
    assert original.data == stream.getvalue()
    assert original.mimetype == "application/octet-stream"
    assert original.headers["Content-Disposition"].startswith("attachment; filename")
    large = client.get("/pictures/" + link(look, "original").rsplit("/", 1)[1] + ".webp")
    with Image.open(io.BytesIO(large.data)) as picture:
        assert picture.size == (1600, 24)


@pytest.mark.parametrize("kind", ["originals", "pictures", "thumbnails", "look"])
def test_no_other_file_is_shown(client: FlaskClient, library: Library, kind: str) -> None:
    end = ".webp" if kind in ("pictures", "thumbnails") else ""
    query = "?method=tiny&query=sea/6.png" if kind == "look" else ""
    assert client.get(f"/{kind}/{'0' * 64}{end}{query}").status_code in (400, 404)
    if kind == "look":
        return
    image = library.images["sea/6.png"]
    image.path.write_bytes(b"something else")
    assert client.get(f"/{kind}/{image.sha256}{end}").status_code == 404


def test_an_original_file_cannot_run_scripts(client: FlaskClient, library: Library) -> None:
    response = client.get(f"/originals/{library.images[HOSTILE].sha256}")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_a_heic_photograph_can_be_dropped(client: FlaskClient) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "navy")).save(stream)
    response = upload(client, stream.getvalue(), "IMG_1.heic")
    assert response.status_code == 303
    assert "IMG_1.heic" in client.get(response.location).text


def test_the_page_and_its_errors_name_all_supported_formats(client: FlaskClient) -> None:
    for page in (client.get("/").text, upload(client, b"no image").text):
        for name in ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "HEIC", "AVIF", "JPEG 2000"):
            assert name in page


def test_several_images_can_be_uploaded_at_once(client: FlaskClient, tmp_path: Path) -> None:
    files = [(io.BytesIO(data(colour)), f"{colour}.png") for colour in ("red", "navy")]
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    form = {"image": files}
    response = client.post("/upload?method=tiny", headers=headers, data=form, content_type="multipart/form-data")
    page = client.get(response.location).text
    assert "red.png" in page and "navy.png" in page and "like this" in page
    more = {"image": [(io.BytesIO(data("green")), "green.png")], "as": "irrelevant"}
    address = response.location.replace("/search", "/upload")
    page = client.get(
        client.post(address, headers=headers, data=more, content_type="multipart/form-data").location
    ).text
    assert "green.png" in page and "unlike this" in page


def data(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(stream, "PNG")
    return stream.getvalue()


def local(client: FlaskClient, path: object):
    return client.post("/local?method=tiny", headers=OWN, data={"path": str(path)})


def test_an_image_is_named_by_its_path_on_this_machine(client: FlaskClient, library: Library, tmp_path: Path) -> None:
    # An image of the collection is found there.
    for address in (library.images["sea/6.png"].path, "collection/sea/6.png"):
        assert "query=sea/6.png" in local(client, address).location
    (tmp_path / "new one.png").write_bytes(data("olive"))
    for address in (tmp_path / "new one.png", (tmp_path / "new one.png").as_uri(), "new one.png"):
        response = local(client, address)
        assert response.status_code == 303 and "new one.png" in client.get(response.location).text


@pytest.mark.parametrize(
    "path", ["../x.png", "/etc/passwd", "link.png", "", "file://elsewhere/x.png", "a\x00b", "x" * 9999]
)
def test_files_elsewhere_are_not_read(client: FlaskClient, tmp_path: Path, path: str) -> None:
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    response = local(client, path)
    assert response.status_code == 400
    assert "is not in" in response.text or "cannot be read" in response.text
    assert "root:" not in response.text
