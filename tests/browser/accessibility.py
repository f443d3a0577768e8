"""What axe-core finds wrong with a page for people who use a screen reader, the keyboard or high contrast."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Where axe cannot decide, it says so apart from what it finds.
OPTIONS = {"resultTypes": ["violations"]}


def faults(page: Page) -> list[str]:
    """Return the serious and critical faults of a page: the rule, how bad it is, and the first parts that break it."""
    found = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {[node['html'][:200] for node in fault['nodes'][:3]]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
