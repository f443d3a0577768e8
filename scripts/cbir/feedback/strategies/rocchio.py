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
    Sources: Rocchio, "Relevance feedback in information
    retrieval", in Salton (ed.), "The SMART Retrieval System", 1971; Salton and Buckley, "Improving retrieval
    performance by relevance feedback", JASIS 41(4), 1990.

    The new vector is NOT rescaled. The formula's authors compare by cosine, where length has no influence; under
    Euclidean distance a vector grown by alpha + beta - gamma favours long gallery vectors. Measured (20 categories of
    animals, 1,997 photographs, ``pretrained`` features, three splits, 390 queries each, one round of 10 simulated
    judgements), that is of use: residual ANMRR 0.20 as it is, 0.28 to 0.29 with the length of the original query, 0.34
    to 0.36 divided by alpha + beta - gamma, 0.39 to 0.41 without feedback; residual precision@10 0.87 to 0.88, 0.87 to
    0.88, 0.85 to 0.86 and 0.70 to 0.72. Part of it is the length alone: the original query, only lengthened as much,
    has 0.30 and 0.75. On features of unit length the three are the same.
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
