"""Strategies of relevance feedback: how a set of judgements changes the ranking of the gallery.

A strategy is a module of this package. Its file is named as the word that ``strategy`` of a refinement and
``feedback.simulation.strategies`` of the configuration use. It defines:

``LABEL`` (str)
    Its name on the search page, one to three words.

``EXPLANATION`` (str)
    What it does, for the report and the search page: the predicate of a sentence whose subject is its name, without a
    full stop.

``rank(features, query, relevant, irrelevant, weights)``
    Returns the `cbir.feedback.ranking.Ranking` of the gallery. Its arguments are

    - ``features``: (n, d) float32 or float64, the gallery;
    - ``query``: float64 (d,), the original query vector;
    - ``relevant``, ``irrelevant``: the gallery rows judged so far, intp, each row once, sorted; either may be empty;
    - ``weights``: `Weights`, of Rocchio's formula.

    It is a pure function: it depends only on its arguments and does not change them. It must return a ranking for any
    judgements, and raise no error.

A strategy returns a `cbir.feedback.ranking.Near`, or an instance of its own subclass of `cbir.feedback.ranking.Ranking`
with a method ``score``; a method ``bounds`` is optional and makes simulations faster.

A strategy that calls another one imports it as a module, so that its code hash covers the other one too.
"""

from dataclasses import dataclass

from cbir.files.registry import Registry

REGISTRY = Registry(__name__, __path__[0], "strategy")


@dataclass(frozen=True)
class Weights:
    """Rocchio's weights; their defaults are those of the configuration's schema."""

    alpha: float
    beta: float
    gamma: float
