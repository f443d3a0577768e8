"""The search page on a small run's results."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cbir.retrieval import outside
from cbir.web.app import create_app
from cbir.web.library import Library
from web.made import embed, visitor, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


@pytest.fixture
def library(results: Path) -> Library:
    return Library(results)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace networks by `embed`; return the list of the names of those that were opened."""
    opened: list[Path] = []
    monkeypatch.setattr(outside, "open_network", lambda path, fingerprint, batch: (opened.append(path), embed)[1])
    return opened


@pytest.fixture
def app(library: Library, tmp_path: Path, network: list[Path]) -> Flask:
    return create_app(library, tmp_path / "feedback")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return visitor(app)
