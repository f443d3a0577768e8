"""Networks that map an image to a feature vector: architectures, weights, runtimes and devices."""
