"""Write the report: one HTML file that opens offline and consists of the sections of `cbir.report.sections`."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cbir.files import threads
from cbir.files.tables import write_text
from cbir.report import lead, rendering, results
from cbir.report.results import Results
from cbir.report.sections import REGISTRY


def inputs(names: Mapping[str, Sequence[str]], missing: Collection[str] = ()) -> list[str]:
    """Return the files that the report is made from, relative to ``results/``.

    Args:
        names: the values of each wildcard; see `cbir.report.sections`.
        missing: the patterns of `cbir.results` whose files the run does not make.
    """
    patterns = [
        *results.INPUTS,
        *lead.INPUTS,
        *(pattern for section in REGISTRY.values() for pattern in section.INPUTS),
    ]
    return results.expand([pattern for pattern in patterns if pattern not in missing], names)


def gather(results: Results) -> dict[str, Any]:
    """Return the content of the report as plain data: title, lead, methods (lowest ANMRR first) and sections.

    Raises:
        InputError: when a file is missing or damaged.
    """
    sections = sorted(REGISTRY.items(), key=lambda entry: (entry[1].ORDER, entry[0]))
    return {
        "title": results.config["report"]["title"],
        "lead": lead.gather(results),
        "methods": [{"name": method.name, **method.summary} for method in results.methods],
        "sections": [
            {
                "name": name,
                "title": section.TITLE if results.labelled else getattr(section, "TITLE_UNLABELLED", section.TITLE),
                "folded": getattr(section, "FOLDED", False),
                "template": f"{REGISTRY.path(name).stem}.html.j2",
                "data": data,
            }
            for name, section in sections
            if results.labelled or not getattr(section, "NEEDS_LABELS", False)
            if (data := section.gather(results)) is not None
        ],
    }


def write(results: Results, path: str | Path) -> None:
    """Write the report.

    Raises:
        InputError: when a file is missing or damaged, or the report cannot be written.
    """
    # The threads are for the pictures: in products, they would change last digits.
    with threads.shared() as parts:
        data = gather(results)
        style = Markup(results.thumbnails.style(parts))
    write_text(path, rendering.render("report.html.j2", thumbnails=style, **data))
