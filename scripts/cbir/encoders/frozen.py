"""Trained networks that are kept as they are when the collection changes (``freeze: true``)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cbir.encoders.options import Options
from cbir.files.errors import InputError
from cbir.files.tables import read_json

# The files of a finished training; the last one is written at its end.
_FILES = ("{}.keras", "{}.json", "{}/history.csv", "{}/checkpoint.code")


def frozen(folder: Path, encoders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the encoders with ``freeze: true`` whose training is finished, in alphabetical order.

    Args:
        folder: ``results/encoders`` of the run.
        encoders: the rows of the configuration, complete.

    Raises:
        InputError: when the network to keep does not match its row.
    """
    asked = [name for name, row in sorted(encoders.items()) if row["freeze"]]
    found = [name for name in asked if all((folder / file.format(name)).is_file() for file in _FILES)]
    for name in found:
        row, about = encoders[name], read_json(folder / f"{name}.json", {"architecture": str})
        if (about["architecture"], about.get("options", {})) != (row["architecture"], Options.from_row(row).given()):
            raise InputError(
                f"config: encoders.{name} is frozen, but {folder / name}.keras is of another architecture or takes its "
                f"images otherwise than this row says: correct the row, or remove {folder / name}.keras to train anew."
            )
    return found
