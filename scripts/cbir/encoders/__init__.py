"""Networks that map an image to a feature vector: architectures, weights, runtimes and devices."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads it when it is imported.
