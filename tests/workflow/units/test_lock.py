"""The lock of a working folder, with processes that take the place of runs and jobs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import odd_files
from cbir.files.errors import InputError
from cbir.workflow import lock

CODE = "from cbir.workflow import lock; print(lock.{}(), flush=True); input()"


class Folder:
    """A working folder with a lock as Snakemake writes it, and processes in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.abandoned = path / ".snakemake/locks/0.input.lock"
        self.processes: list[subprocess.Popen[str]] = []
        self.leave()

    def leave(self) -> None:
        self.abandoned.parent.mkdir(parents=True, exist_ok=True)
        self.abandoned.write_text("a\n")

    def start(self, function: str) -> str:
        """Call a function in a new process that does not end; return the result."""
        process = subprocess.Popen(
            [sys.executable, "-c", CODE.format(function)],
            cwd=self.path,
            env={"PYTHONPATH": str(Path(lock.__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.processes.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.kill()


def test_the_lock_of_a_killed_run_is_removed(folder: Folder) -> None:
    folder.abandoned.unlink()
    assert folder.start("release_abandoned") == "False"
    folder.leave()
    folder.kill()
    assert folder.start("release_abandoned") == "True"
    assert not folder.abandoned.exists()


@pytest.mark.parametrize("at_work", ["release_abandoned", "hold"])
def test_the_lock_is_kept_while_a_run_or_one_of_its_jobs_is_active(folder: Folder, at_work: str) -> None:
    folder.abandoned.unlink()
    folder.start("release_abandoned")
    folder.leave()
    # The job starts while its run is active, and continues after the run is killed.
    folder.start(at_work)
    run, job = folder.processes
    run.kill()
    run.communicate()
    assert folder.start("release_abandoned") == "False"
    assert folder.abandoned.exists()
    job.kill()
    job.communicate()
    # The process that called the function is still active.
    assert folder.start("release_abandoned") == "False"
    folder.kill()
    assert folder.start("release_abandoned") == "True"


@pytest.mark.parametrize("host", ["", "another-machine"])
def test_a_lock_that_may_belong_to_another_machine_is_kept(folder: Folder, host: str) -> None:
    (folder.path / ".snakemake/run.lock").write_text(host)
    assert folder.start("release_abandoned") == "False"
    assert folder.abandoned.exists()
    folder.kill()
    # Looking at the lock does not change that.
    assert folder.start("release_abandoned") == "False"


@pytest.mark.parametrize("kind", odd_files.KINDS)
def test_a_link_pipe_or_folder_in_place_of_the_lock_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    odd = odd_files.Odd(tmp_path / ".snakemake/run.lock", kind)
    monkeypatch.setattr(lock, "_held", [])
    # A job works without the lock; a run reports why it does not start.
    lock.hold()
    with pytest.raises(InputError, match=r"run\.lock is a link or no regular file, and is not written to: remove it"):
        lock.release_abandoned()
    assert odd.is_untouched()


def test_a_job_without_a_run_makes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lock.hold()
    assert list(tmp_path.iterdir()) == []
