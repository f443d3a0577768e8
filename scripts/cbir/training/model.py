"""An encoder with what its training adds: normalisation, mining, loss."""

from typing import Any

import keras
from keras import ops

from cbir.training import losses, mining
from cbir.training.settings import TrainingSettings


class TripletModel(keras.Model):
    """Wraps an encoder for `fit`; its output is what the loss and the validation's search see.

    Targets are a dictionary of integers (n,): ``labels``, and ``positives`` and ``negatives`` from
    `cbir.training.mining.random_partners`. The metrics ``active`` and ``spread`` are those of `cbir.training.losses`.

    Args:
        encoder: maps images to vectors; it is trained in place.
        settings: mining, margin, normalise and batch_norm are used here.
    """

    def __init__(self, encoder: Any, settings: TrainingSettings) -> None:
        super().__init__(name="triplet")
        self.encoder, self.settings = encoder, settings
        self.active = keras.metrics.Mean(name="active")
        self.spread = keras.metrics.Mean(name="spread")

    def call(self, images: Any, training: bool = False) -> Any:
        """Return embeddings (n, d), float32."""
        # Called for inference, batch normalisation uses its moving statistics, and its scale and offset still learn.
        vectors = self.encoder(images, training=training and self.settings.batch_norm == "moving")
        vectors = ops.cast(vectors, "float32")
        return ops.normalize(vectors, axis=-1) if self.settings.normalise else vectors

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of a batch and note its share of active triplets and its spread."""
        distances = mining.squared_distances(y_pred)
        if self.settings.mining == "random":
            triplets = mining.random_triplets(distances, y["positives"], y["negatives"])
        elif self.settings.mining == "semi-hard":
            triplets = mining.semi_hard_triplets(distances, y["labels"])
        else:
            triplets = mining.batch_hard_triplets(distances, y["labels"])
        loss, active = losses.triplet_loss(*triplets, self.settings.margin)
        self.active.update_state(active)
        self.spread.update_state(losses.spread(y_pred))
        return loss


def half_precision_twin(encoder: Any) -> Any:
    """Return a copy of a functional encoder, weights too, that computes in float16 and keeps its weights in float32."""

    def clone(layer: Any) -> Any:
        return layer.__class__.from_config({**layer.get_config(), "dtype": "mixed_float16"})

    twin = keras.models.clone_model(encoder, clone_function=clone)
    twin.set_weights(encoder.get_weights())
    return twin
