"""Load TensorFlow and Keras in half the time: 2.4 instead of 4 to 5 seconds of processor time a job."""

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Keras and TensorFlow import them if they are installed, for plots, wrappers and converters that are not used here.
_OPTIONAL = ("matplotlib", "sklearn")
_BACKENDS = ("jax", "torch")


@contextmanager
def quickly() -> Iterator[None]:
    """Import TensorFlow and Keras within this block: garbage collection is off, and Keras finds no optional packages.

    The imports make hundreds of thousands of objects. None of them is garbage, so the collector need not look at them,
    now or later (`gc.freeze`). No other thread may import anything meanwhile, because the optional packages seem not to
    be installed there either.
    """
    optional = (*_OPTIONAL, *(name for name in _BACKENDS if name != _backend()))
    hidden = [name for name in optional if name not in sys.modules]
    gc.disable()
    # Python refuses to import a module that is None here.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


def _backend() -> str:
    """Return the backend that Keras will choose as it is imported."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    settings = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        return str(json.loads(settings.read_text(encoding="utf-8"))["backend"])
    # Keras takes its default then.
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"
