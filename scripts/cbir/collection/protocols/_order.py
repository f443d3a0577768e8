"""The pseudo-random order of images or categories in protocols that draw at random."""

import hashlib


def key(seed: int, sha256: str) -> str:
    """Return the key to sort images by: the order depends on their contents and the seed, and not on file names."""
    return hashlib.sha256(f"{seed}:{sha256}".encode()).hexdigest()
