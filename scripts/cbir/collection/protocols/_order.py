"""The order in which protocols that draw at random take images."""

import hashlib


def key(seed: int, sha256: str) -> str:
    """Return what images are sorted by: another order for each seed, whatever files are called."""
    return hashlib.sha256(f"{seed}:{sha256}".encode()).hexdigest()
