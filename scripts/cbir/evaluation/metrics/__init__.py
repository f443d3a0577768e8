"""The metrics: each is a module of this folder, named as its key in summary.json.

A metric defines

* ``NAME``: its name within a sentence, such as ``precision at {k}``; ``{k}`` is replaced by the number of results
  looked at (``evaluation.k``).
* ``MEANING``: one or two sentences for somebody who does not know it; ``{k}`` is replaced here too.
* ``HIGHER_IS_BETTER``: bool.
* ``RANGE``: its lowest and highest possible value; ``math.inf`` where there is none.
* ``FORMAT``: how a value is written, ``percent`` (62.5 %) or ``decimal`` (0.625).
* ``ORDER``: its place in files and tables; the lowest number comes first, equal ones in alphabetical order.
* ``COLUMN``: the column of queries.csv that holds its values, one a query, or None. Methods are compared in the metrics
  that have one: a confidence interval for each method, a paired test for each pair of methods.

and one of two functions:

* ``per_query(relevance, ...)``: float64 (queries,), NaN where the metric is not defined for a query. ``relevance`` is
  bool (queries, gallery): each query's ranking of the gallery, closest first, True where the image is of the query's
  category; `cbir.evaluation.relevance` says more and has helpers. The rows are any block of the queries. The function
  may ask for two more arguments, by their names: ``k``, the number of results looked at, and ``gtm``, the largest
  number of relevant images of any query. The metric of a method is the mean over the defined queries. Of a very large
  gallery the columns are the first results alone, see `cbir.evaluation.cut`. A third argument, ``relevant``, is then
  int64 (queries,), how many relevant images the whole gallery holds for each query; without it, the images that were
  not found are in columns behind. The value is marked as cut, unless the function takes ``k``, or the module defines
  ``depth(relevant, gtm)``, int64 (queries,), the last rank that decides each query's value, and these are all known.
* ``overall(counts)``: float, of the classification by a majority vote of the k nearest images. ``counts`` is int64
  (categories, categories): how often images of the row's category are taken for the column's.

`cbir.evaluation.measure` computes the metrics. Each of them can be ``training.monitor``.
"""

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "metric")
