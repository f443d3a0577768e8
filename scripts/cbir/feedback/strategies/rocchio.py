"""Rank by the Euclidean distance to a query vector that the judgements moved."""

import numpy as np

from cbir.feedback.ranking import Near, Ranking, Rows
from cbir.feedback.strategies import Weights
from cbir.retrieval.exact import Features, Vector

LABEL = "Rocchio"
EXPLANATION = (
    "moves the query's vector towards the mean of the relevant images and away from the mean of the irrelevant ones"
)


def rank(features: Features, query: Vector, relevant: Rows, irrelevant: Rows, weights: Weights) -> Ranking:
    """Rank by the Euclidean distance to q' = alpha q + beta mean(relevant) - gamma mean(irrelevant).

    A set without members contributes nothing; its weight is not given to the others. Scores are negative distances.
    Sources: Rocchio, "Relevance feedback in information retrieval", in Salton (ed.), "The SMART Retrieval System",
    1971; Salton and Buckley, "Improving retrieval performance by relevance feedback", JASIS 41(4), 1990.

    The new vector is NOT rescaled. The formula's authors compare by cosine, where length has no influence; under
    Euclidean distance a vector grown by alpha + beta - gamma favours long gallery vectors, which was of use where it
    was measured (docs/feedback.md). On features of unit length it makes no difference.
    """
    vector = weights.alpha * query
    if relevant.size:
        vector = vector + weights.beta * _mean(features, relevant)
    if irrelevant.size:
        vector = vector - weights.gamma * _mean(features, irrelevant)
    return Near(features, vector)


def _mean(features: Features, rows: Rows) -> Vector:
    mean: Vector = features[rows].mean(axis=0, dtype=np.float64)
    return mean
