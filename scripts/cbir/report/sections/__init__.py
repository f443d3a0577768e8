"""Sections of the report: one module each, with its template ``<name>.html.j2`` beside it.

An entry ``<name>.py`` defines:

- ``TITLE``: the heading of the section, also in the navigation. Its anchor is the name of the entry.
- ``ORDER``: a number; sections are sorted by it, smallest first.
- ``FOLDED = True`` (optional): the section is folded when the report is opened.
- ``NEEDS_LABELS = True`` (optional): the section is left out if images have no categories.
- ``INPUTS``: the files that the section reads, as patterns of `cbir.results`. Snakemake makes them before the report. A
  wildcard in braces stands for all of its values in the run:

  - ``{split}``: train, val and test, and ``{gallery}`` the one that is searched;
  - ``{encoder}``: the encoders, and ``{trained}`` those that are trained;
  - ``{method}``: the methods, and ``{simulated}`` those for which a user is simulated;
  - ``{approximate}``: the methods with an approximate index;
  - ``{pair}``: the pairs of methods that are compared, as ``a_vs_b``;
  - ``{comparison}``: the files that compare all methods; none if there is only one method;
  - ``{query}``: the example queries;
  - ``{refinement}``: the refinements;
  - ``{source}``: the source of the collection if it states authors and licences, else none.

  If images have no categories (``results.labelled`` is false), the files in `cbir.results.OF_LABELS` are not made.

- ``TITLE_UNLABELLED`` (optional): the heading if images have no categories.
- ``gather(results: Results) -> dict[str, Any] | None``: returns the data of the template as plain data (JSON values),
  or None to leave the section out. `Results` (in `cbir.report.results`) reads the files; the files in the ``INPUTS`` of
  that module exist for every section. It raises `InputError` when a file is missing or damaged.

The template gets ``data`` (what ``gather`` returned), ``methods`` (name and summary of each method, lowest ANMRR first)
and the filters of `cbir.report.filters`. It may import macros from ``parts.html.j2``. All text is escaped.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "section of the report")
