"""Sections of the report: one module each, with its template ``<name>.html.j2`` beside it.

An entry ``<name>.py`` defines:

- ``TITLE``: the heading of the section, also in the navigation. Its anchor is the name of the entry.
- ``ORDER``: a number; sections follow each other by it, from the smallest.
- ``FOLDED = True``, if the section is folded until it is opened; it may be left out.
- ``NEEDS_LABELS = True``, if it is left out where images have no categories; it may be left out, too.
- ``INPUTS``: the files that the section reads, as patterns of `cbir.results`. Snakemake makes them before the report. A
  wildcard in braces stands for each of its names in the run at hand:

  - ``{split}``: train, val and test, and ``{gallery}`` the one that is searched;
  - ``{encoder}``: the encoders, and ``{trained}`` those that are trained;
  - ``{method}``: the methods, and ``{simulated}`` those that the simulated user tries;
  - ``{approximate}``: those whose index is an approximate one;
  - ``{pair}``: the pairs of methods that are compared, as ``a_vs_b``;
  - ``{comparison}``: the files that compare all methods; none if there is a single method;
  - ``{query}``: the example queries;
  - ``{refinement}``: the refinements;
  - ``{source}``: the source of the collection if it states authors and licences, else none.

  Where images have no categories (``results.labelled`` is false), files in ``cbir.results.OF_LABELS`` are not made.

- ``TITLE_UNLABELLED``, if the section has another heading where images have no categories.
- ``gather(results: Results) -> dict[str, Any] | None``: what the template shows as plain data (JSON values), or None to
  leave the section out of this report. `Results` (in `cbir.report.results`) reads the files; those in the ``INPUTS`` of
  that module are there for every section. Raises `InputError` when a file is missing or damaged.

The template gets ``data`` (what ``gather`` returned), ``methods`` (name and summary of each method, the best ranking
first) and the filters of `cbir.report.filters`; it may import macros from ``parts.html.j2``. All text is escaped.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "section of the report")
