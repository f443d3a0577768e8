"""TensorFlow and scikit-learn, which take seconds to load, are loaded only where they are used."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"

# The scripts are only imported; their job runs only if Snakemake starts them.
LOAD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
for path in map(Path, sys.argv[3:]):
    exec(compile(path.read_text(), path, "exec"), {"__name__": "loaded", "__file__": str(path)})
    found = set(sys.argv[2].split()) & set(sys.modules)
    if found:
        sys.exit(f"{path.name} loads {', '.join(sorted(found))}")
"""


def load(*paths: Path, found: str = "tensorflow keras openvino torch jax") -> str:
    command = [sys.executable, "-c", LOAD, str(SCRIPTS), found, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_jobs_load_tensorflow_only_when_their_work_begins() -> None:
    # Then the messages of TensorFlow on import go to the job's log file.
    paths = sorted(SCRIPTS.glob("*.py"))
    assert len(paths) > 15
    assert load(*paths) == ""


def test_only_jobs_that_use_scikit_learn_load_it() -> None:
    assert load(*sorted(SCRIPTS.glob("*.py")), found="sklearn") == ""


def test_planning_the_workflow_does_not_load_tensorflow(tmp_path: Path) -> None:
    rules = (SCRIPTS.parent / "rules/workflow.smk").read_text()
    imports = [line for line in rules.splitlines() if line.startswith(("import ", "from cbir"))]
    assert len(imports) > 5
    (tmp_path / "common.py").write_text("\n".join([*imports, "pass"]))
    assert load(tmp_path / "common.py") == ""


def test_the_check_finds_an_import_of_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "careless.py").write_text("from cbir.encoders import weights\npass")
    # Keras imports JAX where it is installed.
    assert re.search(r"careless\.py loads (jax, )?keras", load(tmp_path / "careless.py"))
