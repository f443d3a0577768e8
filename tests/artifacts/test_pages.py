"""Text and pictures as a page shows them."""

import base64
import io
from pathlib import Path

import jinja2
import numpy as np
import pytest
from PIL import Image

from cbir.report import html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("käfer 7.jpg", "käfer 7.jpg"),
        ("a\nb\tc", r"a\nb\tc"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("\x00", r"\x00"),
        ("\u2028", r"\u2028"),
        # A file name that is not UTF-8, as Python holds it; written as it is, it could not be encoded.
        ("\udcff", r"\udcff"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert html.visible(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (240.47, "4 min 0 s"), (3725, "1 h 2 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert html.duration(seconds) == shown


def test_figures() -> None:
    assert html.percent(0.89378) == "89.4 %"
    assert html.decimal(0.34519) == "0.345"
    assert html.amount(1939.0) == "1,939"
    for written in (html.percent, html.decimal, html.amount, html.duration):
        assert written(None) == written(float("nan")) == "–"


def test_words() -> None:
    assert html.plural(1, "query", "queries") == "1 query"
    assert html.plural(1200, "query", "queries") == "1,200 queries"
    assert html.plural(0, "image") == "0 images"
    assert [html.listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://example.org/a_(1)", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://example.org and more", False),
        ("https://example.org/\n", False),
    ],
)
def test_only_web_addresses_become_links(text: str, link: bool) -> None:
    assert html.is_link(text) is link


def test_a_picture_is_shrunk_and_kept_in_proportion(tmp_path: Path) -> None:
    Image.fromarray(np.full((100, 400, 3), 200, np.uint8)).save(tmp_path / "wide.png")
    uri = html.picture(tmp_path / "wide.png", 96)
    head, data = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (96, 24)
    assert html.picture(tmp_path / "missing.png", 96) == ""


def test_values_are_escaped_and_made_visible(tmp_path: Path) -> None:
    (tmp_path / "page.css").write_text("")
    (tmp_path / "page.js").write_text("")
    (tmp_path / "page.html.j2").write_text('<p title="{{ name }}">{{ name }}</p>')
    assert html.render(tmp_path, "page.html.j2", name='<b>"\n') == r'<p title="&lt;b&gt;&#34;\n">&lt;b&gt;&#34;\n</p>'
    with pytest.raises(jinja2.UndefinedError):
        html.render(tmp_path, "page.html.j2")
