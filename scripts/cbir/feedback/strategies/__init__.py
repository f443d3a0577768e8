"""Strategies of relevance feedback: what a set of judgements does to the ranking of the gallery.

A strategy is a module of this package. Its file is named as the word that ``strategy`` of a refinement and
``feedback.simulation.strategies`` of the configuration use. It defines:

``LABEL`` (str)
    What the search page calls it, one to three words.

``EXPLANATION`` (str)
    What it does, for the report and the search page: the rest of a sentence that begins with its name, without a full
    stop.

``rank(features, query, relevant, irrelevant, weights)``
    Returns the `cbir.feedback.ranking.Ranking` of the gallery. Its arguments are

    - ``features``: (n, d) float32 or float64, the gallery;
    - ``query``: float64 (d,), the original query vector;
    - ``relevant``, ``irrelevant``: the gallery rows judged so far, intp, each row once, sorted; either may be empty;
    - ``weights``: `Weights`, of Rocchio's formula.

    It depends on nothing but its arguments and changes none of them. The order in which images were judged has no
    influence. It raises nothing: whatever was judged, there is a ranking.

A ranking that is no `cbir.feedback.ranking.Near` is a class derived from `cbir.feedback.ranking.Ranking` with a method
``score``; its ``bounds`` are optional and make simulations faster.

A strategy that falls back to another one imports it, so that the code hash of the one covers the other.
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
