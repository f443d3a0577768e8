"""Take the pictures of the report and of the search page that README.md and docs/ show, in Chromium.

    .venv/bin/python tests/browser/document_pictures.py [RESULTS]

RESULTS is a run of the sample by `make run` (default: results). Written are docs/report.webp, the first screen of its
report; docs/page.webp, a search of which some results are flagged; and docs/refinement.webp, the rounds of
feedback/sample/giraffe.json. `SEARCH` finds photographs in the public domain or under CC0 alone, so that their authors
need not be named.
"""

import io
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from cbir.files.atomic import atomic  # noqa: E402
from cbir.results import REPORT  # noqa: E402
from cbir.web.app import create_app  # noqa: E402
from cbir.web.library import Library  # noqa: E402
from cbir.web.server import Server  # noqa: E402

DOCS = REPOSITORY / "docs"
WINDOW = {"width": 1280, "height": 800}
SEARCH = {"method": "pretrained", "query": "windmills/windmill8.webp", "k": 10}
RELEVANT, IRRELEVANT = (0, 1), (4,)


def main() -> None:
    """Write the pictures."""
    results = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        sys.exit("The pictures need Chromium: on Debian, apt install chromium.")
    with tempfile.TemporaryDirectory() as feedback, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=WINDOW)
        page.goto((results / REPORT).resolve().as_uri())
        save(page.screenshot(), DOCS / "report.webp")
        server = Server(create_app(Library(results), Path(feedback)), "127.0.0.1", 0)
        threading.Thread(target=server.run, daemon=True).start()
        page.goto(server.address)
        page.wait_for_selector("h1")
        page.goto(f"{server.address.split('?')[0]}search?{urlencode(SEARCH)}")
        for verdict, places in (("relevant", RELEVANT), ("irrelevant", IRRELEVANT)):
            for place in places:
                page.click(f"#{verdict}-{place}")
                page.wait_for_selector(f"#{verdict}-{place}[aria-pressed=true]")
        page.wait_for_load_state("networkidle")
        save(page.screenshot(), DOCS / "page.webp")
        browser.close()
    save((results / "feedback" / "giraffe" / "refinement.png").read_bytes(), DOCS / "refinement.webp")


def save(picture: bytes, path: Path) -> None:
    """Write a PNG file's picture as a WebP file, at most as wide as a screenshot."""
    with Image.open(io.BytesIO(picture)) as opened, atomic(path) as temporary:
        small = opened.convert("RGB")
        small.thumbnail((WINDOW["width"], small.height))
        small.save(temporary, "WEBP", quality=75, method=6)


if __name__ == "__main__":
    main()
