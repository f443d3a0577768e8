"""Import TensorFlow and Keras in half the time: 2.4 instead of 4 to 5 seconds of processor time per job."""

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Keras and TensorFlow import these packages, if installed, for functions that this project does not use.
_OPTIONAL = ("matplotlib", "sklearn")
_BACKENDS = ("jax", "torch")


@contextmanager
def quickly() -> Iterator[None]:
    """Make imports of TensorFlow and Keras in this block faster.

    Garbage collection is off, and the objects that the imports create are excluded from later collections
    (`gc.freeze`): there are hundreds of thousands, and none of them is garbage. Optional packages cannot be imported in
    the block, by any thread.
    """
    optional = (*_OPTIONAL, *(name for name in _BACKENDS if name != _backend()))
    hidden = [name for name in optional if name not in sys.modules]
    gc.disable()
    # Importing a module that is None in `sys.modules` raises ModuleNotFoundError.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


def _backend() -> str:
    """Return the backend that Keras chooses when it is imported."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    settings = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        return str(json.loads(settings.read_text(encoding="utf-8"))["backend"])
    # Keras then uses its default.
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"
