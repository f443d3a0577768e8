"""Loading Keras without modules that it does not need; in a new process, because it can be loaded only once."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import gc, sys
sys.path.insert(0, sys.argv[1])
from cbir.encoders import loading

with loading.quickly():
    import keras
    assert not gc.isenabled()
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000
found = {name.split(".")[0] for name in sys.modules}
assert "tensorflow" in found
assert not {"matplotlib", "sklearn", "jax", "torch"} & found, found

# What was hidden is there again, and what was there before stays.
import sklearn, matplotlib
with loading.quickly():
    assert sys.modules["sklearn"] is sklearn
assert sys.modules["matplotlib"] is matplotlib
try:
    with loading.quickly():
        raise KeyError
except KeyError:
    assert gc.isenabled()
"""


def test_keras_is_imported_without_modules_that_it_does_not_need() -> None:
    scripts = Path(__file__).parents[2] / "scripts"
    command = [sys.executable, "-c", PROGRAM, str(scripts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
