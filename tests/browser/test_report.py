"""The report in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from report_run import Run


@pytest.mark.parametrize("width", [390, 1280])
def test_it_does_not_scroll_sideways(chromium: Browser, tmp_path: Path, width: int) -> None:
    run = Run(tmp_path)
    run.methods(one=0.3, two=0.2)
    run.compare()
    for path in run.results.rglob("*.svg"):
        path.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 560"/>')
    run.text()
    with chromium.new_context(viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        page.goto((run.results / "report.html").as_uri())
        # The curves are wider than a phone: they scroll by themselves.
        assert page.locator(".curve").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
