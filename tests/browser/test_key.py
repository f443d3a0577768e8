"""Access with and without the key, and attacks by a page on another site, in a real browser."""

import re
import threading
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from browser.conftest import Visit
from browser.test_page import pick
from workplace import Workplace


@pytest.fixture(params=["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
def other_site(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """Start another server on this machine; return its address and its pages by path. Another port is the same site."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://{request.param}:{server.server_port}", pages
        server.shutdown()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    with chromium.new_context() as context:
        yield context


def test_the_key_is_removed_from_the_address_and_kept_for_reloads_and_tabs(visit: Visit, address: str) -> None:
    page, home = visit.page, address.split("?")[0]
    expect(page).to_have_url(home)
    page.reload()
    expect(page.get_by_role("heading", name="Image search")).to_be_visible()
    tab = page.context.new_page()
    tab.goto(home)
    expect(tab.get_by_role("heading", name="Image search")).to_be_visible()
    # The cookie is HttpOnly, so no script can read it.
    assert page.evaluate("document.cookie") == ""


def test_without_the_key_one_sentence_explains_how_to_get_access(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.goto(address.split("?")[0])
    expect(page.get_by_role("alert")).to_contain_text("open the whole address that the server printed")
    assert "siamese" not in page.content() and "sea" not in page.content()


def test_a_link_on_another_site_opens_the_page(
    context: BrowserContext, address: str, other_site: tuple[str, dict[str, str]]
) -> None:
    # As from a terminal that is a web page.
    site, pages = other_site
    pages["/"] = f'<a href="{address}">the printed address</a>'
    page = context.new_page()
    page.goto(site)
    page.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Image search")).to_be_visible()


def test_another_site_can_neither_read_nor_save(
    visit: Visit, address: str, other_site: tuple[str, dict[str, str]], place: Workplace
) -> None:
    page, home = visit.page, address.split("?")[0]
    pick(page)
    page.locator("#relevant-0").click()
    expect(page.locator("#relevant-0")).to_have_attribute("aria-pressed", "true")
    picture = home.rstrip("/") + page.locator(".result img").first.get_attribute("src")
    site, pages = other_site
    saving = page.url.replace("/search?", "/save?")
    attacked = [picture, page.url, f"{home}static/web.js", f"{home}report.css", home]
    pages["/"] = f"""
        <img src="{picture}"><img src="{escape(page.url)}"><iframe src="{home}"></iframe>
        <script src="{home}static/web.js"></script><link rel="stylesheet" href="{home}report.css">
        <form method="post" action="{escape(saving)}"><input name="name" value="stolen"><button>Win</button></form>
    """
    with page.context.new_page() as tab:
        # The browser hides the responses from the page; only its developer tools show what the server answered.
        tools, urls, answers = page.context.new_cdp_session(tab), {}, {}
        tools.on("Network.requestWillBeSent", lambda event: urls.update({event["requestId"]: event["request"]["url"]}))
        tools.on(
            "Network.responseReceivedExtraInfo",
            lambda event: answers.update({event["requestId"]: event["statusCode"]}),
        )
        tools.send("Network.enable")
        tab.goto(site)
        expect(tab.get_by_role("button")).to_be_visible()
        tab.wait_for_load_state("load")
        # The browser requests neither scripts that may not run nor pictures that are in its cache.
        answered = {urls[one]: status for one, status in answers.items() if urls[one] in attacked}
        assert answered.keys() >= {f"{home}report.css", home} and set(answered.values()) == {403}
        tab.get_by_role("button").click()
        expect(tab.get_by_role("alert")).to_be_visible()
        assert {urls[one]: status for one, status in answers.items()}[saving] == 403
    assert not (place.folder / "feedback" / "folder" / "stolen.json").exists()
    # The page itself can load the picture.
    assert page.request.get(picture).status == 200


def test_dns_rebinding_gives_no_access(visit: Visit, address: str) -> None:
    # DNS rebinding: the browser considers the page as one of that host, and lets its scripts read the responses.
    port = urlsplit(address).port
    with visit.page.context.new_page() as tab:
        answer = tab.goto(f"http://rebound.example:{port}/")
        assert answer.status == 403
        assert not re.search("siamese|sea|Image search", tab.content())
