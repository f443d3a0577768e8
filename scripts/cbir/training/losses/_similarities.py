"""Functions that losses of cosine similarities share."""

from typing import Any

from keras import initializers, ops

from cbir.training.losses._loss import Loss


def cosines(embeddings: Any, others: Any) -> Any:
    """Return the cosines (n, m) between the rows of two matrices (n, d) and (m, d); that of a zero row is 0."""
    return ops.matmul(ops.normalize(embeddings, axis=-1), ops.transpose(ops.normalize(others, axis=-1)))


def pairs(labels: Any) -> tuple[Any, Any]:
    """Return the masks of pairs (anchor, other image) of one category and of different ones, bool (n, n) each."""
    same = labels[:, None] == labels[None, :]
    itself = ops.cast(ops.eye(ops.shape(labels)[0]), "bool")
    return ops.logical_and(same, ops.logical_not(itself)), ops.logical_not(same)


def log_sum_exp(values: Any, mask: Any, axis: int, one: bool) -> Any:
    """Return log(1 + sum exp(values)) over the values in a mask, or log(sum exp(values)).

    Args:
        values: (n, m).
        mask: bool (n, m). If it is empty along the axis, the result is 0 with ``one``, and a large negative number
            without.
        axis: the axis of the sum.
        one: whether 1 is added to the sum.

    Returns:
        (m,) for axis 0, (n,) for axis 1.
    """
    kept = ops.where(mask, values, _LOW)
    highest = ops.stop_gradient(ops.max(kept, axis=axis, keepdims=True))
    highest = ops.maximum(highest, 0) if one else highest
    total = ops.sum(ops.where(mask, ops.exp(kept - highest), 0), axis=axis)
    total = total + ops.exp(-ops.squeeze(highest, axis)) if one else ops.maximum(total, 1e-30)
    return ops.squeeze(highest, axis) + ops.log(total)


_LOW = -1e30  # Instead of minus infinity, with which gradients would be NaN.


class ProxyLoss(Loss):
    """A loss with a proxy per category: a vector of the embeddings' dimension that is trained with the encoder.

    The proxies are ``rate`` times a variable. The steps of Adam do not depend on the scale of the gradient, so the
    variable moves at the learning rate and the proxies at ``rate`` times the learning rate.

    Args:
        name: name of the loss.
        categories: number of proxies.
        dimension: length of an embedding.
        rate: factor of the learning rate for the proxies.
        seed: seed of the initial proxies.
    """

    def __init__(self, name: str, categories: int, dimension: int, rate: float, seed: int) -> None:
        super().__init__(name=name)
        self.rate = rate
        # The initial length decides how far a step rotates a proxy. It is that of He initialisation by fan-out (He,
        # Zhang, Ren and Sun, ICCV 2015).
        first = initializers.RandomNormal(stddev=(2 / categories) ** 0.5 / rate, seed=seed)
        self.scaled = self.add_weight(shape=(categories, dimension), initializer=first, name="proxies")

    @property
    def proxies(self) -> Any:
        """The proxies, (categories, dimension)."""
        return self.rate * self.scaled

    def own(self, labels: Any) -> Any:
        """Return the mask of pairs (image, proxy) of one category, bool (n, categories)."""
        return labels[:, None] == ops.arange(self.scaled.shape[0], dtype=labels.dtype)[None, :]


def cross_entropy(logits: Any, own: Any) -> Any:
    """Return the mean cross-entropy of ``logits`` (n, categories); ``own``, of the same shape, masks the true ones."""
    every = log_sum_exp(logits, ops.ones_like(own), axis=1, one=False)
    return ops.mean(every - ops.sum(ops.where(own, logits, 0), axis=1))
