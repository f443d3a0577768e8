"""The metrics: each is a module of this folder, named as its key in summary.json.

A metric defines

* ``NAME``: its name within a sentence, such as ``precision at {k}``; ``{k}`` is replaced by the number of results
  looked at (``evaluation.k``).
* ``MEANING``: one or two sentences that explain it to somebody who does not know it; ``{k}`` is replaced here too.
* ``HIGHER_IS_BETTER``: bool.
* ``RANGE``: its lowest and highest possible value; ``math.inf`` where there is none.
* ``FORMAT``: how a value is written, ``percent`` (62.5 %) or ``decimal`` (0.625).
* ``ORDER``: its position in files and tables: ascending, equal numbers in alphabetical order of the names.
* ``COLUMN``: the column of queries.csv that holds its value for each query, or None. Methods are compared in the
  metrics that have a column: with a confidence interval for each method, and a paired test for each pair of methods.

and one of two functions:

* ``per_query(relevance, ...)``: float64 (queries,), NaN where the metric is not defined for a query. ``relevance`` is
  bool (queries, gallery): each query's ranking of the gallery, closest first, True where the image is of the query's
  category; `cbir.evaluation.relevance` states the conventions and has helpers. The rows are any block of the queries.
  The function may have two more arguments, by their names: ``k``, the number of results looked at, and ``gtm``, the
  largest number of relevant images of any query. The metric of a method is the mean over the queries that define it.
  For a very large gallery the columns are only the first results, see `cbir.evaluation.cut`. A third argument,
  ``relevant``, is then int64 (queries,), the number of relevant images in the whole gallery for each query; for a
  function without it, relevant images that were not found are in additional last columns. The value is marked as cut,
  unless the function has the argument ``k``, or the module defines ``depth(relevant, gtm)``, int64 (queries,), the last
  rank that decides each query's value, and all these ranks are known.
* ``overall(counts)``: float, a metric of the classification by a majority vote of the k nearest images. ``counts`` is
  the confusion matrix, int64 (categories, categories), rows true, columns predicted.

`cbir.evaluation.measure` computes the metrics. Each of them can be ``training.monitor``.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "metric")
