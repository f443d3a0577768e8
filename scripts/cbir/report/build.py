"""Write the report: one HTML file that opens offline, made of the sections of `cbir.report.sections`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cbir.collection.categories import singles
from cbir.evaluation.measure import compared_metrics
from cbir.files.tables import write_text
from cbir.report import rendering, results
from cbir.report.filters import capitalised
from cbir.report.results import Results
from cbir.report.sections import REGISTRY
from cbir.results import OF_LABELS


def inputs(names: Mapping[str, Sequence[str]], labelled: bool = True) -> list[str]:
    """Return the files that the report is made from, relative to ``results/``.

    Args:
        names: what each wildcard stands for; see `cbir.report.sections`.
        labelled: whether images have categories.
    """
    patterns = [*results.INPUTS, *(pattern for section in REGISTRY.values() for pattern in section.INPUTS)]
    return results.expand([pattern for pattern in patterns if labelled or pattern not in OF_LABELS], names)


def gather(results: Results) -> dict[str, Any]:
    """Return what the report shows as plain data: title, lead, methods (best ranking first) and sections.

    Raises:
        InputError: when a file is missing or damaged.
    """
    sections = sorted(REGISTRY.items(), key=lambda entry: (entry[1].ORDER, entry[0]))
    return {
        "title": results.config["report"]["title"],
        "lead": _lead(results) if results.labelled else {"images": len(results.images), "metrics": []},
        "methods": [{"name": method.name, **method.summary} for method in results.methods],
        "sections": [
            {
                "name": name,
                "title": section.TITLE if results.labelled else getattr(section, "TITLE_UNLABELLED", section.TITLE),
                "template": f"{REGISTRY.path(name).stem}.html.j2",
                "data": data,
            }
            for name, section in sections
            if (data := section.gather(results)) is not None
        ],
    }


def _lead(results: Results) -> dict[str, Any]:
    best = results.methods[0].summary
    k = results.config["evaluation"]["k"]
    return {
        "images": len(results.images),
        "categories": len(singles(results.images["category"])),
        "k": k,
        "queries": best["queries"],
        "gallery": best["gallery"],
        "most_accurate": max(results.methods, key=lambda method: method.summary["accuracy"]).name,
        "metrics": [
            {
                "key": key,
                "name": capitalised(metric.NAME.format(k=k)),
                "written": metric.FORMAT,
                "best": (max if metric.HIGHER_IS_BETTER else min)(one.summary[key] for one in results.methods),
            }
            for key, metric in compared_metrics().items()
        ],
    }


def write(results: Results, path: str | Path) -> None:
    """Write the report.

    Raises:
        InputError: when a file is missing or damaged, or the report cannot be written.
    """
    write_text(path, rendering.render("report.html.j2", **gather(results)))
