"""The report in a browser, with scripts and without."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.accessibility import faults
from report_run import Run

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="720pt" height="420pt" viewBox="0 0 960 560"/>'


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(tmp_path_factory.mktemp("report"))
    run.train()
    run.compare()
    run.method("plain", anmrr=0.9)
    run.simulate()
    for path in run.results.rglob("*.svg"):
        path.write_text(SVG)
    run.text()
    return run.results / "report.html"


@contextmanager
def opened(chromium: Browser, report: Path, width: int = 1280, **options: object) -> Iterator[Page]:
    """Open the report; afterwards there must be no errors and no other requests."""
    with chromium.new_context(viewport={"width": width, "height": 800}, **options) as context:
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        page.goto(report.as_uri())
        yield page
        assert wrong == []


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_the_report_does_not_scroll_horizontally(chromium: Browser, report: Path, width: int) -> None:
    with opened(chromium, report, width) as page:
        # Unfolded, because folded parts have no width.
        page.evaluate("document.querySelectorAll('main details').forEach((fold) => (fold.open = true))")
        # Charts are wider than a phone: they scroll within their frame.
        assert page.locator(".curve").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # Content wider than its frame scrolls in it, so nothing is cut off.
        cut = """[...document.querySelectorAll("main :is(table, .curve, .map, .strip, .gallery, p)")].filter((part) =>
            part.getBoundingClientRect().right > innerWidth && !part.closest(".scroll"))"""
        assert page.evaluate(f"{cut}.map((part) => part.outerHTML.slice(0, 200))") == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_table_of_contents_follows_and_sections_fold(chromium: Browser, report: Path, scripts: bool) -> None:
    with opened(chromium, report, java_script_enabled=scripts) as page:
        contents = page.get_by_role("navigation", name="Sections")
        contents.get_by_role("link", name="Errors").click()
        expect(page.locator("#errors")).to_be_in_viewport()
        expect(contents).to_be_in_viewport()
        section = page.locator("#figures")
        expect(section.get_by_role("table")).to_be_visible()
        section.locator(".fold > summary").click()
        expect(section.get_by_role("table")).to_be_hidden()


def test_on_a_phone_the_table_of_contents_is_a_menu(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, 390) as page:
        contents = page.locator(".contents")
        link = contents.get_by_role("link", name="Confusion")
        expect(link).to_be_hidden()
        contents.locator("summary").click()
        link.click()
        expect(link).to_be_hidden()
        expect(page.locator("#confusion h2")).to_be_in_viewport()
        # It stays visible while scrolling.
        expect(contents.locator("summary")).to_be_in_viewport()


def test_a_link_unfolds_its_target(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        fold = page.locator("#provenance > .fold")
        assert not fold.evaluate("fold => fold.open")
        page.get_by_role("navigation", name="Sections").get_by_role("link", name="Provenance").click()
        expect(fold.get_by_role("table").first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_cell_of_the_matrix_links_to_its_errors(chromium: Browser, report: Path, scripts: bool) -> None:
    with opened(chromium, report, java_script_enabled=scripts) as page:
        second = page.locator("#confusion .method").nth(1)
        second.locator("summary").click()
        second.get_by_role("region", name=re.compile("^Confusion matrix")).get_by_role("link", name="2").click()
        pair = page.locator('[id="errors.two.1.2"]')
        # The method's errors were folded.
        expect(pair).to_be_in_viewport()
        expect(pair.get_by_text("dog taken for fish")).to_be_visible()
        error = pair.locator(".error").first
        error.locator("summary").click()
        large = error.locator(".large")
        expect(large.get_by_role("img", name="Query, dog")).to_be_visible()
        expect(large.get_by_role("img", name=re.compile("^Result "))).to_have_count(3)
        picture = "part => [getComputedStyle(part).backgroundImage.slice(0, 22), part.offsetWidth]"
        image, width = large.get_by_role("img", name="Query, dog").evaluate(picture)
        assert image == 'url("data:image/jpeg;b' and width > 200


def test_errors_can_be_filtered(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        errors = page.locator("#errors")
        shown = errors.locator("output")
        # Three methods with three errors each.
        expect(shown).to_have_text("9 shown")
        errors.get_by_label("Method").select_option("two")
        expect(shown).to_have_text("3 shown")
        errors.get_by_label("Category").select_option("dog")
        expect(shown).to_have_text("2 shown")
        expect(errors.locator(".error:visible")).to_have_count(2)
        # The other methods take no room.
        assert errors.locator('[id="errors.one.0"]').evaluate("one => one.offsetHeight") == 0
        errors.get_by_label("taken for").select_option("dog")
        expect(shown).to_have_text("0 shown")
        errors.get_by_role("button", name="Show all").click()
        expect(shown).to_have_text("9 shown")
        # A row of the table of categories sets the filter.
        page.locator("#categories .method").first.get_by_role("row", name=re.compile("^cat")).click()
        expect(shown).to_have_text("1 shown")
        expect(errors.get_by_label("Category")).to_have_value("cat")


def test_the_map_shows_a_picture_and_links_to_its_error(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        map = page.locator("#embedding-map .map").first
        hint = map.locator(".hint")
        expect(hint).to_be_hidden()
        wrong = map.locator("[data-to='errors.one.0.1']")
        wrong.hover()
        expect(hint).to_have_text("cat/9.png, taken for dog")
        assert "data:image/jpeg" in hint.locator(".picture").evaluate("one => getComputedStyle(one).backgroundImage")
        page.get_by_role("button", name="fish").click()
        seen = "one => getComputedStyle(one).opacity"
        groups = map.locator(".layer-query > [data-category]")
        assert [float(groups.nth(n).evaluate(seen)) < 1 for n in range(3)] == [True, True, False]
        wrong.click()
        expect(page.locator('[id="errors.one.0.1"]')).to_be_in_viewport()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_report_has_no_serious_violation_of_accessibility(
    chromium: Browser, report: Path, width: int, scheme: str
) -> None:
    with opened(chromium, report, width, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('main details').forEach((fold) => (fold.open = true))")
        assert faults(page) == []
        # axe finds a violation that is added.
        page.evaluate("document.querySelector('main').append(document.createElement('button'), new Image())")
        assert {fault.split()[0] for fault in faults(page)} == {"button-name", "image-alt"}


def test_charts_are_dark_if_the_page_is_dark(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, color_scheme="dark") as page:
        filter = page.locator(".curve").first.evaluate("chart => getComputedStyle(chart).filter")
        assert filter.startswith("invert")
