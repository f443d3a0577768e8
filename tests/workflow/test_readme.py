"""The README's Python runs on a run's results, the first part without this project's library."""

import json
import os
import re
import subprocess
import sys

import pytest

from workplace import REPOSITORY, Workplace

BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)


def run_block(block: str, finished: Workplace, path: str) -> str:
    # The small collection has one method, of another name.
    code = block.replace("pretrained", "siamese")
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=finished.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_two_blocks() -> None:
    assert len(BLOCKS) == 2


def test_an_index_is_read_without_the_project(finished: Workplace) -> None:
    answer = json.loads((finished.folder / "results/queries/siamese/best.json").read_text())
    printed = run_block(BLOCKS[0], finished, "")
    assert "cbir" not in BLOCKS[0]
    assert re.match(r"\S+\.png -> \[.*\] \[", printed)
    assert printed.count(".png") == 1 + len(answer["neighbours"])


def test_the_library_gives_the_figures_of_the_workflow(finished: Workplace) -> None:
    summary = json.loads((finished.folder / "results/evaluation/siamese/summary.json").read_text())
    printed = run_block(BLOCKS[1], finished, str(REPOSITORY / "scripts"))
    assert float(printed.split()[1]) == pytest.approx(summary["anmrr"], rel=1e-12)
