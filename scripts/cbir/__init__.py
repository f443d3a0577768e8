"""Content-based image retrieval: the library of the workflow, which does not import Snakemake.

`cbir.open` reads the results of a run in a notebook or a script; the command `cbir` searches and serves them.
"""

import os
import pkgutil
from typing import Any


def open(results: str | os.PathLike[str] = "results") -> Any:
    """Open the results of a run.

    Args:
        results: the folder of the results.

    Returns:
        A `cbir.api.Results`.

    Raises:
        InputError: when the folder does not exist, or contains no features of a method.
    """
    # Imported dynamically to keep `cbir.api` out of the code hash and the environment of rules.
    return pkgutil.resolve_name("cbir.api:Results")(results)
