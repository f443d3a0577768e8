"""Measure memory and time of drawing an evaluation's pictures with few and with many categories.

    python benchmarks/categories.py

Each number of categories is drawn in a process of its own: the confusion matrix and the figures of each category, from
CSV files as the evaluation writes them, three queries a category.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

COUNTS = (7, 60, 500, 2000)


def draw(categories: int) -> None:
    """Write the tables, draw them, and print seconds and megabytes."""
    import numpy as np
    import pandas as pd

    from cbir.evaluation.classification import confusion, precision_recall_f1
    from cbir.files.tables import read_csv, write_csv
    from cbir.report import plots

    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(categories), 3)
    predicted = np.where(random.random(len(truth)) < 0.7, truth, random.integers(0, categories, len(truth)))
    counts = confusion(truth, predicted, categories)
    names = [f"category {number}" for number in range(categories)]
    table = pd.DataFrame(counts, columns=names)
    table.insert(0, "category", names)
    figures = dict(zip(("precision", "recall", "f1"), precision_recall_f1(counts), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        write_csv(f"{folder}/confusion.csv", table)
        start = time.perf_counter()
        plots.confusion(read_csv(f"{folder}/confusion.csv", ["category"]), f"{folder}/confusion.svg")
        plots.categories(pd.DataFrame({"category": names, **figures}), f"{folder}/categories.svg")
        seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(f"{categories:10,}  {seconds:7.1f}  {int(status.split('VmHWM:')[1].split()[0]) / 1024:6.0f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        draw(int(sys.argv[1]))
    else:
        print("categories  seconds      MB", flush=True)
        for count in COUNTS:
            subprocess.run([sys.executable, __file__, str(count)], check=True)
