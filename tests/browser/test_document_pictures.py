"""The pictures of the documents, which tests/browser/document_pictures.py takes."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("playwright")

from browser import document_pictures as module
from document_figures import DOCUMENTS


def test_a_picture_is_written_no_wider_than_a_screenshot(tmp_path: Path) -> None:
    for size, written in (((2560, 100), (1280, 50)), ((640, 2000), (640, 2000))):
        stream = io.BytesIO()
        Image.new("RGB", size, "navy").save(stream, "PNG")
        module.save(stream.getvalue(), tmp_path / "p.webp")
        with Image.open(tmp_path / "p.webp") as picture:
            assert (picture.format, picture.size) == ("WEBP", written)


def test_every_picture_is_in_the_documents_and_small() -> None:
    shown = {
        (path.parent / name).resolve()
        for path in DOCUMENTS
        for name in re.findall(r"(?:\]\(|src=\")([\w./-]+\.(?:png|jpg|webp))", path.read_text(encoding="utf-8"))
    }
    there = {path for path in module.DOCS.iterdir() if path.suffix in (".png", ".jpg", ".webp")}
    assert all(path.is_file() for path in shown)
    assert {"report.webp", "page.webp", "refinement.webp"} == {path.name for path in shown}
    assert sum(path.stat().st_size for path in there) < 350_000
