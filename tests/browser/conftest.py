"""A browser on the search page of a real run."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from cbir.web.app import create_app
from cbir.web.library import Library
from workplace import CONFIG, REPOSITORY, Workplace, make

# No background requests to other hosts.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A host name of an attacker that resolves to this machine, as in DNS rebinding.
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "the browser tests need Chromium: on Debian, apt install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Return a run with the method of an encoder and a derived one, and all results that the search page needs."""
    place = make(tmp_path_factory.mktemp("browser") / "place")
    place.configure(CONFIG | {"methods": CONFIG["methods"] | {"compact": COMPACT}})
    splits = [
        f"results/features/{method}/{split}.h5" for method in ("siamese", "compact") for split in ("train", "test")
    ]
    done = place.run("results/configuration.json", *splits)
    assert done.status == 0, done.output
    return place


COMPACT = {"transform": "pca", "of": "siamese", "dimension": 4, "whiten": False}


@pytest.fixture(scope="session")
def address(place: Workplace) -> Iterator[str]:
    """Start the search page as a user does, and return its address."""
    command = [sys.executable, str(REPOSITORY / "scripts" / "serve.py"), "--port", "0"]
    log = place.folder / "serve.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=place.folder, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        try:
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found, log.read_text()
            yield found.group(0)
        finally:
            server.kill()


@contextmanager
def served(results: Path) -> Iterator[str]:
    """Serve the search page of results made by hand from this process; return its address."""
    app = create_app(Library(results), results.parent / "feedback")
    with make_server("127.0.0.1", 0, app, threaded=True) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.port}/?key={app.config['KEY']}"
        finally:
            server.shutdown()


@dataclass
class Visit:
    """A page, and the errors that were reported on it."""

    page: Page
    errors: list[str]
    scripts: bool

    def expect_refusal(self) -> None:
        """Remove one refused request from the errors, because the browser reports it as an error, too."""
        assert len(self.errors) == 1, self.errors
        assert "status of 4" in self.errors.pop()


WINDOW = {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture(params=[{}, {"java_script_enabled": False}], ids=["scripts", "no-scripts"])
def visit(chromium: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open a new tab on the first page, with scripts and without; afterwards the page must have no errors."""
    options = WINDOW | getattr(request.node.get_closest_marker("window"), "kwargs", {}) | request.param
    with visited(chromium, address, options) as visit:
        yield visit


@pytest.fixture
def scripted(chromium: Browser, address: str) -> Iterator[Visit]:
    """The same for tests that need scripts."""
    with visited(chromium, address, WINDOW) as visit:
        yield visit


@contextmanager
def visited(chromium: Browser, address: str, options: dict[str, Any]) -> Iterator[Visit]:
    """Open the printed address in a new browser; afterwards there must be no errors and no requests to other hosts."""
    with chromium.new_context(**options) as context:
        page = context.new_page()
        visit = Visit(page, [], options.get("java_script_enabled", True))
        page.on("console", lambda message: message.type in ("error", "warning") and visit.errors.append(message.text))
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        hosts = set()
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(address)
        expect(page.get_by_role("heading", name="Image search")).to_be_visible()
        yield visit
    assert visit.errors == []
    assert hosts == {urlsplit(address).netloc}


@pytest.fixture
def photograph(place: Workplace, tmp_path: Path) -> Path:
    """Return an image from outside the collection."""
    from workplace import photograph

    photograph(2, 77).save(tmp_path / "from elsewhere.png")
    return tmp_path / "from elsewhere.png"
