"""Training an encoder with a triplet loss."""
