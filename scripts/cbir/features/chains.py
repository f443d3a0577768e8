"""Which steps the configuration asks of a derived method."""

from typing import Any

Chain = list[tuple[str, dict[str, Any]]]
"""Steps in the order in which they are applied: each a name in `cbir.features.steps`, and its options."""


def chains(row: dict[str, Any]) -> list[Chain]:
    """Return the chain of steps for each part of a derived method.

    Args:
        row: the method's row of the configuration, ``combine`` with ``normalise``, or ``transform`` with ``of``; what
            else a ``transform`` has are the step's options.
    """
    if "combine" in row:
        return [[(row["normalise"], {})] for _ in row["combine"]]
    return [[(row["transform"], {key: value for key, value in row.items() if key not in ("transform", "of")})]]


def steps(row: dict[str, Any]) -> list[str]:
    """Return the names of all steps of a derived method, each once, sorted."""
    return sorted({name for chain in chains(row) for name, _ in chain})
