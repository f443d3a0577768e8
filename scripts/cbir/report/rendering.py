"""Render the templates of the report: one HTML file that loads nothing and escapes all names."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cbir.files.printable import printable
from cbir.report.filters import FILTERS

FOLDER = Path(__file__).parent
"""Holds ``templates`` (the frame, the style and the script) and ``sections`` (a template for each section)."""
STYLE = FOLDER / "templates" / "report.css"
"""The style sheet, which the search page uses, too."""
LAYOUT = FOLDER / "templates" / "layout.css"
"""What the report alone has: its frame, its contents, its gallery and its maps."""


def environment() -> jinja2.Environment:
    """Return the environment of the templates.

    Values are escaped, and their control and bidirectional characters shown as escapes (see `printable`): a file name
    could otherwise turn the text around it, or hide its end. A template that names an unknown value raises
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
    ``script_hash``, which its Content-Security-Policy names so that no other script runs.

    Raises:
        jinja2.UndefinedError: when the template names a value that is not there.
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
