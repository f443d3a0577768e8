"""Other web sites are kept away."""

import socket

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cbir.web.guard import own_names

OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def token(app: Flask) -> str:
    return app.config["WRITE_TOKEN"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:8000", "127.0.0.1:9"])
def test_own_names_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "localhost@evil.example", "0.0.0.0"],
)
@pytest.mark.parametrize("path", ["/", "/search", "/thumbnails/x.webp", "/static/web.js", "/nowhere"])
def test_a_foreign_name_gets_nothing(client: FlaskClient, host: str, path: str) -> None:
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 400
    assert "own names" in response.text


def test_a_write_for_a_foreign_name_is_refused(client: FlaskClient, token: str) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert client.post("/upload", headers=headers, data={"token": token}).status_code == 400


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
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/save?method=tiny&query=sea/6.png&k=2&rounds=r", "/upload"])
def test_a_write_from_another_site_is_refused(
    client: FlaskClient, token: str, headers: dict, path: str, tmp_path
) -> None:
    response = client.post(path, headers=headers, data={"token": token, "name": "x"})
    assert response.status_code == 403
    assert "does not come from the page itself" in response.text
    assert not (tmp_path / "feedback").exists()


@pytest.mark.parametrize("token", ["", "guess", "ü"])
def test_a_write_without_the_token_is_refused(client: FlaskClient, token: str, tmp_path) -> None:
    response = client.post(
        "/save?method=tiny&query=sea/6.png&k=2&rounds=r", headers=OWN, data={"token": token, "name": "x"}
    )
    assert response.status_code == 403
    assert "reload the page" in response.text
    assert not (tmp_path / "feedback").exists()


@pytest.mark.parametrize("headers", [OWN, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}])
def test_the_pages_own_write_is_taken(client: FlaskClient, token: str, headers: dict) -> None:
    response = client.post(
        "/save?method=tiny&query=sea/6.png&k=2&rounds=r", headers=headers, data={"token": token, "name": "x"}
    )
    assert response.status_code == 303


def test_every_start_has_another_token(app: Flask, library, tmp_path) -> None:
    from cbir.web.app import create_app

    assert create_app(library, tmp_path, ["localhost"]).config["WRITE_TOKEN"] != app.config["WRITE_TOKEN"]


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/web.css", "/search"])
def test_browsers_are_told_to_run_and_load_nothing_from_elsewhere(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_names_of_a_server() -> None:
    assert own_names("127.0.0.1") == ["127.0.0.1", "[::1]", "localhost"]
    assert "pictures.example" in own_names("pictures.example")
    # Listening everywhere, it still answers to nothing that an attacker could register.
    everywhere = own_names("0.0.0.0")
    assert socket.gethostname() in everywhere
    assert "*" not in "".join(everywhere)
