"""Only browsers with the key have access, and requests from other web sites are refused."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cbir.web.app import create_app
from cbir.web.library import Library
from cbir.web.state import image_key

OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
PATHS = ["/", "/search?method=tiny&query=sea/6.png", "/thumbnails/{}.webp", "/static/web.js", "/report.css", "/nowhere"]
PATHS += ["/look/{}?method=tiny&query=sea/6.png", "/methods?method=tiny&query=sea/6.png", "/part/{}", "/open/x"]
PATHS += ["/pictures/{}.webp", "/originals/{}", "/review/labels", "/review/rejected"]
WRITES = ["/save?method=tiny&query=sea/6.png&k=2&rounds=r{}", "/upload", "/local", "/delete", "/decide?of=labels"]


@pytest.fixture
def held(library: Library) -> str:
    """Return the SHA-256 of an image of the gallery."""
    return library.images["sea/0.png"].sha256


def write(client: FlaskClient, path: str, held: str, headers: dict[str, str]) -> TestResponse:
    return client.post(path.format(image_key(held)), headers=headers, data={"name": "x"})


def reveals_nothing(response: TestResponse) -> bool:
    return not any(word in response.text for word in ("tiny", "sea", "apple", "Image search"))


# The key.


def test_the_printed_address_gives_access_and_the_key_is_removed_from_it(app: Flask) -> None:
    client = app.test_client()
    response = client.get(f"/?key={app.config['KEY']}")
    assert (response.status_code, response.headers["Refresh"]) == (200, "0; url=/")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Expires" not in cookie
    assert client.get("/").status_code == client.get("/search?method=tiny&query=sea/6.png").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PROPFIND"])
def test_without_the_key_no_page_is_shown(app: Flask, held: str, method: str) -> None:
    for path in PATHS:
        response = app.test_client().open(path.format(held), method=method, headers=OWN)
        assert response.status_code == 403
        assert reveals_nothing(response)
        if method == "GET":
            assert "open the whole address that the server printed" in response.text


@pytest.mark.parametrize("key", ["", "guess", "ü", "\ud800", "x" * 100_000])
def test_a_wrong_key_is_refused(app: Flask, key: str) -> None:
    client = app.test_client(use_cookies=False)
    query = {"key": key.encode("utf-8", "surrogatepass")}
    assert client.get("/", query_string=query).status_code == 403
    cookie = {"Cookie": f"cbir-key-80={key.encode('utf-8', 'surrogatepass').decode('latin-1')}"}
    assert client.get("/", headers=cookie).status_code == 403


@pytest.mark.parametrize("path", WRITES)
def test_a_write_without_the_key_is_refused(app: Flask, held: str, path: str, tmp_path: Path) -> None:
    response = write(app.test_client(), path, held, OWN)
    assert response.status_code == 403
    assert "open the whole address" in response.text
    assert reveals_nothing(response)
    assert not (tmp_path / "feedback").exists()


def test_every_start_has_another_key(app: Flask, client: FlaskClient, library: Library, tmp_path: Path) -> None:
    other = create_app(library, tmp_path)
    assert other.config["KEY"] != app.config["KEY"]
    assert (
        other.test_client(use_cookies=False)
        .get("/", headers={"Cookie": f"cbir-key-80={app.config['KEY']}"})
        .status_code
        == 403
    )


def test_servers_on_two_ports_of_one_host_have_separate_cookies(app: Flask) -> None:
    names = set()
    for host in ("localhost:8000", "localhost:8001", "[::1]:8000", "[::1]", "localhost"):
        headers = {"Host": host}
        cookie = (
            app.test_client().get(f"/?key={app.config['KEY']}", headers=headers).headers["Set-Cookie"].split(";")[0]
        )
        assert app.test_client(use_cookies=False).get("/", headers=headers | {"Cookie": cookie}).status_code == 200
        names.add(cookie.split("=")[0])
    assert names == {"cbir-key-8000", "cbir-key-8001", "cbir-key-80"}


# Other sites.


def test_a_request_to_another_host_name_has_no_cookie(app: Flask, client: FlaskClient, held: str) -> None:
    # After DNS rebinding, a browser sends the cookies of the host name in the address.
    for path in PATHS:
        response = client.get(path.format(held), base_url="http://evil.example")
        assert response.status_code == 403
        assert reveals_nothing(response)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "document")],
)
def test_a_page_of_another_site_can_load_nothing(
    client: FlaskClient, held: str, site: str, mode: str, dest: str
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    for path in PATHS:
        response = client.get(path.format(held), headers=headers)
        assert response.status_code == 403
        assert "does not come from this page itself" in response.text
        assert reveals_nothing(response)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "same-origin"])
def test_a_link_on_another_site_may_lead_to_the_page(client: FlaskClient, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://localhost"},
        # Another server on this machine is another site.
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    ],
)
@pytest.mark.parametrize("path", WRITES)
def test_a_write_from_another_site_is_refused(
    client: FlaskClient, held: str, headers: dict[str, str], path: str, tmp_path: Path
) -> None:
    response = write(client, path, held, headers)
    assert response.status_code == 403
    assert "does not come from this page itself" in response.text
    assert reveals_nothing(response)
    assert not (tmp_path / "feedback").exists()


@pytest.mark.parametrize("headers", [OWN, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_write_from_the_page_itself_is_accepted(client: FlaskClient, held: str, headers: dict[str, str]) -> None:
    assert write(client, WRITES[0], held, headers).status_code == 303


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/web.css", "/search"])
@pytest.mark.parametrize("inside", [True, False])
def test_the_content_security_policy_admits_nothing_from_elsewhere(
    app: Flask, client: FlaskClient, path: str, inside: bool
) -> None:
    headers = (client if inside else app.test_client()).get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
