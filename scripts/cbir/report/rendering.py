"""Render the templates of the report into one HTML file that loads nothing. All values are escaped."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cbir.files.printable import printable
from cbir.report.filters import FILTERS

FOLDER = Path(__file__).parent
"""Contains ``templates`` (the frame, the style and the script) and ``sections`` (a template for each section)."""
STYLE = FOLDER / "templates" / "report.css"
"""The style sheet of the report and the search page."""
LAYOUT = FOLDER / "templates" / "layout.css"
"""The style sheet of the report alone: its layout, table of contents, errors and maps."""


def environment() -> jinja2.Environment:
    """Return the environment of the templates.

    Values are escaped. Control and bidirectional characters are shown as escapes (see `printable`), because a file name
    could otherwise reverse the text around it or hide its own end. A template that uses an unknown value raises
    `jinja2.UndefinedError`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([FOLDER / "templates", FOLDER / "sections"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str and not value.isprintable() else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


def render(template: str, **values: Any) -> str:
    """Render a template.

    Besides ``values`` it gets ``style`` and ``script``, the text of the style sheets and of ``report.js``, and
    ``script_hash`` for its Content-Security-Policy, so that a browser runs no other script.

    Raises:
        jinja2.UndefinedError: when the template uses a value that is not defined.
    """
    script = (FOLDER / "templates" / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template(template)
        .render(
            style=Markup("".join(path.read_text(encoding="utf-8") for path in (STYLE, LAYOUT))),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            **values,
        )
    )
