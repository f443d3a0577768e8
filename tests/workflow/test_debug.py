"""The work of one job, run by itself for a debugger."""

import re
import sys
from pathlib import Path

from workplace import Workplace, run


def debug(place: Workplace, outputs: Path, *arguments: str) -> tuple[int, str]:
    settings = ["--directory", str(place.folder), "--configfile", str(place.folder / "my.yaml")]
    command = [sys.executable, str(place.checkout / "scripts/debug.py"), *arguments, *settings]
    # What it computes is left there for a person to look at.
    done = run(command, place.root, TMPDIR=str(outputs))
    return done.status, done.output


def test_a_job_computes_the_same_beside_the_results(finished: Workplace, tmp_path: Path) -> None:
    folder = finished.folder / "results/evaluation/siamese"
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    status, output = debug(finished, tmp_path, "evaluate", "method=siamese")
    assert status == 0, output
    [made] = re.findall(r"The outputs go to (\S+)", output)
    computed = {path.name: path.read_bytes() for path in Path(made).iterdir()}
    assert {"summary.json", "neighbours.csv", "confusion.csv"} <= computed.keys()
    assert computed == {name: before[name][1] for name in computed}
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == {
        name: time for name, (time, _) in before.items()
    }


def test_a_job_that_the_run_does_not_have(finished: Workplace, tmp_path: Path) -> None:
    status, output = debug(finished, tmp_path, "query", "method=siamese")
    assert status == 1
    told = "3 jobs of this run are query method=siamese: name one of query method=siamese query=best; query method"
    assert told in output
    status, output = debug(finished, tmp_path, "evaluate", "method=other")
    assert "No jobs of this run are evaluate method=other: name one of evaluate method=siamese." in output
