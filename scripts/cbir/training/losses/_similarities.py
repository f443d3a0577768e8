"""What losses of cosines have in common."""

from typing import Any

from keras import initializers, ops

from cbir.training.losses._loss import Loss


def cosines(embeddings: Any, others: Any) -> Any:
    """Return the cosines (n, m) of the rows of two matrices (n, d) and (m, d); 0 where a row is zero."""
    return ops.matmul(ops.normalize(embeddings, axis=-1), ops.transpose(ops.normalize(others, axis=-1)))


def pairs(labels: Any) -> tuple[Any, Any]:
    """Return which (anchor, image) are of one category, but not the same image, and which are not: bool (n, n) each."""
    same = labels[:, None] == labels[None, :]
    itself = ops.cast(ops.eye(ops.shape(labels)[0]), "bool")
    return ops.logical_and(same, ops.logical_not(itself)), ops.logical_not(same)


def log_sum_exp(values: Any, mask: Any, axis: int, one: bool) -> Any:
    """Return log(1 + sum exp(values)) over those of the mask, or the same without the 1.

    Args:
        values: (n, m).
        mask: bool (n, m); where it has none along the axis, the result is 0 with ``one`` and very low without.
        axis: over which is summed.
        one: whether there is a 1 in the sum.
    """
    kept = ops.where(mask, values, _LOW)
    highest = ops.stop_gradient(ops.max(kept, axis=axis, keepdims=True))
    highest = ops.maximum(highest, 0) if one else highest
    total = ops.sum(ops.where(mask, ops.exp(kept - highest), 0), axis=axis)
    total = total + ops.exp(-ops.squeeze(highest, axis)) if one else ops.maximum(total, 1e-30)
    return ops.squeeze(highest, axis) + ops.log(total)


_LOW = -1e30  # Stands for minus infinity, which would turn gradients into NaN.


class ProxyLoss(Loss):
    """A loss with a proxy of each category, a vector of the embeddings' dimension that is trained with the encoder.

    Adam's steps do not depend on the scale of a gradient. So the proxies are ``rate`` times a variable: as that moves
    at the encoder's learning rate, they move at ``rate`` times it.

    Args:
        name: of the loss.
        categories: how many proxies there are.
        dimension: of an embedding.
        rate: how many times the encoder's learning rate the proxies are trained with.
        seed: of their first directions.
    """

    def __init__(self, name: str, categories: int, dimension: int, rate: float, seed: int) -> None:
        super().__init__(name=name)
        self.rate = rate
        # Their length decides how far a step turns them: that of He, Zhang, Ren and Sun (ICCV 2015), by fan-out.
        first = initializers.RandomNormal(stddev=(2 / categories) ** 0.5 / rate, seed=seed)
        self.scaled = self.add_weight(shape=(categories, dimension), initializer=first, name="proxies")

    @property
    def proxies(self) -> Any:
        """The proxies, (categories, dimension)."""
        return self.rate * self.scaled

    def own(self, labels: Any) -> Any:
        """Return which (image, proxy) are of one category, bool (n, categories)."""
        return labels[:, None] == ops.arange(self.scaled.shape[0], dtype=labels.dtype)[None, :]


def cross_entropy(logits: Any, own: Any) -> Any:
    """Return the mean cross-entropy of logits (n, categories), of which ``own`` (bool) marks the right ones."""
    every = log_sum_exp(logits, ops.ones_like(own), axis=1, one=False)
    return ops.mean(every - ops.sum(ops.where(own, logits, 0), axis=1))
