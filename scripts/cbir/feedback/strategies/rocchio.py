"""Rank by the Euclidean distance to a query vector that is moved by Rocchio's formula."""

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

    The term of an empty set is 0; the other weights stay the same. Scores are negative distances. Sources: Rocchio,
    "Relevance feedback in information retrieval", in Salton (ed.), "The SMART Retrieval System", 1971; Salton and
    Buckley, "Improving retrieval performance by relevance feedback", JASIS 41(4), 1990.

    The new vector is NOT rescaled. The authors compare by cosine similarity, where length has no influence. With
    Euclidean distance, a vector that has grown by about alpha + beta - gamma favours long gallery vectors, which
    improved the results that were measured (docs/feedback.md). For gallery vectors of length 1 it makes no difference.
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
