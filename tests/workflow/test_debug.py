"""The work of a job in the current process, for a debugger."""

import re
import sys
from pathlib import Path

import pytest

from workplace import Workplace, run


def debug(place: Workplace, *arguments: str) -> tuple[int, str]:
    settings = ["--directory", str(place.folder), "--configfile", str(place.folder / "my.yaml")]
    command = [sys.executable, str(place.checkout / "scripts/debug.py"), *arguments, *settings]
    done = run(command, place.root)
    return done.status, done.output


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the outputs of debugged jobs, which are not removed, below the temporary folder of the test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_job_gives_the_same_outputs_in_another_folder(finished: Workplace) -> None:
    folder = finished.folder / "results/evaluation/siamese"
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    status, output = debug(finished, "evaluate", "method=siamese")
    assert status == 0, output
    [made] = re.findall(r"The outputs go to (\S+)", output)
    computed = {path.name: path.read_bytes() for path in Path(made).iterdir()}
    assert {"summary.json", "neighbours.csv", "confusion.csv"} <= computed.keys()
    assert computed == {name: before[name][1] for name in computed}
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == {
        name: time for name, (time, _) in before.items()
    }


def test_a_job_that_the_run_does_not_have(finished: Workplace) -> None:
    status, output = debug(finished, "query", "method=siamese")
    assert status == 1
    message = "3 jobs of this run are query method=siamese: name one of query method=siamese query=best; query method"
    assert message in output
    status, output = debug(finished, "evaluate", "method=other")
    assert "No jobs of this run are evaluate method=other: name one of evaluate method=siamese." in output
