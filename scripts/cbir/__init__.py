"""Content-based image retrieval: the library behind the workflow. It imports no Snakemake.

`cbir.open` gives the results of a run to a notebook or a script; the command `cbir` searches and serves them.
"""

import os
import pkgutil
from typing import Any


def open(results: str | os.PathLike[str] = "results") -> Any:
    """Open the results of a run.

    Args:
        results: their folder.

    Returns:
        A `cbir.api.Results`.

    Raises:
        InputError: when there is no such folder, or no method's features are in it.
    """
    # By name, so that neither the code hash nor the environment of a rule covers what only notebooks use.
    return pkgutil.resolve_name("cbir.api:Results")(results)
