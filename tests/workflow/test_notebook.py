"""The cells of docs/notebook.ipynb run one after another on a run's results."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from cbir.files.tables import read_csv
from workplace import REPOSITORY, Workplace

NOTEBOOK = json.loads((REPOSITORY / "docs/notebook.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
# Like a notebook, this shows the value of the last line of a cell if it is an expression.
EXECUTE = """
import ast, json, sys
import pandas as pd
pd.set_option("display.width", 1000, "display.max_columns", None)
names = {}
for cell in json.load(sys.stdin):
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        print(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
"""


def test_it_is_stored_without_outputs() -> None:
    assert [cell for cell in NOTEBOOK["cells"] if cell.get("outputs") or cell.get("execution_count")] == []
    assert len(CELLS) > 5


def test_its_cells_run(machines: tuple[Workplace, Workplace], tmp_path: Path) -> None:
    # The small run has other methods. A notebook runs in its own folder.
    folder = machines[0].folder
    cells = [cell.replace("pretrained", "siamese").replace("finetuned", "trained") for cell in CELLS]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts"), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE],
        cwd=folder / "collection",
        input=json.dumps(cells),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "['combined', 'siamese', 'small', 'trained']" in done.stdout
    summary = json.loads((folder / "results/evaluation/trained/summary.json").read_text())
    assert f"{summary['anmrr']:.6f}"[:6] in done.stdout
    # The nearest images of the query that is ranked worst, as the evaluation found them.
    evaluated = folder / "results/evaluation/trained"
    worst = read_csv(evaluated / "queries.csv", ["image_id"]).sort_values("nmrr")["image_id"].iloc[-1]
    neighbours = read_csv(evaluated / "neighbours.csv", ["query", "image_id"])
    for image_id in neighbours.loc[neighbours["query"] == worst, "image_id"].head(3):
        assert re.search(rf"^\d +\d +{image_id} ", done.stdout, re.MULTILINE)
