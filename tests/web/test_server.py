"""How the server handles requests before they reach the application."""

import pytest
from flask import Flask
from waitress.adjustments import Adjustments

from cbir.web.server import _channel

OWN = "Origin: http://127.0.0.1:8000\r\nSec-Fetch-Site: same-origin\r\n"
BODY = bytes(range(256)) * 8000


def receive(app: Flask, headers: str, body: bytes = BODY, length: str = f"Content-Length: {len(BODY)}\r\n"):
    """Pass a request to the server in pieces, as a socket does."""
    parser = _channel(app.config["KEY"]).parser_class(Adjustments(max_request_body_size=40_000_000))
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n{length}{headers}\r\n".encode()
    assert parser.received(head) == len(head)
    for at in range(0, len(body), 8192):
        if parser.completed:
            break
        parser.received(body[at : at + 8192])
    assert parser.completed
    return parser


def test_the_body_of_a_request_with_the_key_is_kept(app: Flask) -> None:
    parser = receive(app, f"{OWN}Cookie: other=1; cbir-key-8000={app.config['KEY']}\r\n")
    assert parser.get_body_stream().read() == BODY


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        OWN + "Cookie: cbir-key-8000=guess\r\n",
        OWN + "Cookie: cbir-key-8001={key}\r\n",
        "Origin: http://127.0.0.1:9\r\nSec-Fetch-Site: same-site\r\nCookie: cbir-key-8000={key}\r\n",
        "Cookie: cbir-key-8000={key}\r\n",
    ],
)
def test_the_body_of_a_request_without_the_key_is_discarded(app: Flask, headers: str) -> None:
    parser = receive(app, headers.format(key=app.config["KEY"]))
    assert parser.get_body_stream().read() == b""
    # It is read to its end, so that the sender gets the response, and the next bytes on the connection are a request.
    assert (parser.error, parser.body_bytes_received) == (None, len(BODY))
    chunked = receive(app, headers.format(key=app.config["KEY"]), b"", "Transfer-Encoding: chunked\r\n")
    assert chunked.error.code == 501


def test_a_body_of_40_megabytes_is_cut_off(app: Flask) -> None:
    cookie = f"Cookie: cbir-key-8000={app.config['KEY']}\r\n"
    assert receive(app, OWN + cookie, b"", "Content-Length: 40000001\r\n").error.code == 413
