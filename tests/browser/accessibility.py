"""Accessibility of a page by axe-core: for users of a screen reader, the keyboard or high contrast."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# axe reports what it cannot decide separately.
OPTIONS = {"resultTypes": ["violations"]}


def faults(page: Page) -> list[str]:
    """Return the serious and critical violations on a page: rule, impact, and the first elements that violate it."""
    found = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {[node['html'][:200] for node in fault['nodes'][:3]]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
