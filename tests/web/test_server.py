"""The server's handling of requests before they reach the application."""

import pytest
from flask import Flask
from waitress.adjustments import Adjustments

from cbir.web.server import _channel

OWN = "Origin: http://127.0.0.1:8000\r\nSec-Fetch-Site: same-origin\r\n"
BODY = bytes(range(256)) * 8000


def receive(app: Flask, headers: str, body: bytes = BODY, length: str = f"Content-Length: {len(BODY)}\r\n"):
    """Pass a request to the server in pieces, as they come from a socket."""
    parser = _channel(app.config["KEY"]).parser_class(Adjustments(max_request_body_size=40_000_000))
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n{length}{headers}\r\n".encode()
    assert parser.received(head) == len(head)
    for at in range(0, len(body), 8192):
        if parser.completed:
            break
        parser.received(body[at : at + 8192])
    assert parser.completed
    return parser


def test_the_pages_own_body_is_kept_whole(app: Flask) -> None:
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
def test_a_body_that_will_be_refused_is_not_kept(app: Flask, headers: str) -> None:
    parser = receive(app, headers.format(key=app.config["KEY"]))
    assert parser.get_body_stream().read() == b""
    # To its end, so that the answer reaches who sent it, and what follows on the connection is a request again.
    assert (parser.error, parser.body_bytes_received) == (None, len(BODY))
    chunked = receive(app, headers.format(key=app.config["KEY"]), b"", "Transfer-Encoding: chunked\r\n")
    assert chunked.error.code == 501


def test_a_body_of_40_megabytes_is_cut_off(app: Flask) -> None:
    cookie = f"Cookie: cbir-key-8000={app.config['KEY']}\r\n"
    assert receive(app, OWN + cookie, b"", "Content-Length: 40000001\r\n").error.code == 413
