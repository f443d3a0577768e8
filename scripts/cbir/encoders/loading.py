"""Load TensorFlow and Keras in half the time: 2.4 instead of 4 to 5 seconds of processor time a job."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras imports them if they are installed, for plots and wrappers that are not used here.
_OPTIONAL = ("matplotlib", "sklearn")


@contextmanager
def quickly() -> Iterator[None]:
    """Import TensorFlow and Keras within this block: garbage collection is off, and Keras finds no optional packages.

    The imports make hundreds of thousands of objects. None of them is garbage, so the collector need not look at them,
    now or later (`gc.freeze`). No other thread may import anything meanwhile, because the optional packages seem not to
    be installed there either.
    """
    hidden = [name for name in _OPTIONAL if name not in sys.modules]
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
