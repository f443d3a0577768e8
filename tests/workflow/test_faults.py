"""A run is killed, another run is active at the same time, or files change while it runs."""

import os
import random
import signal
from pathlib import Path

import pytest

import faults
from faults import RULES
from workplace import CONFIG, Workplace, contents, photograph


def test_a_run_killed_in_every_rule_gives_the_results_of_an_uninterrupted_one(
    uninterrupted: Workplace, tmp_path: Path
) -> None:
    moments = faults.counts(uninterrupted)
    assert moments.keys() == RULES.keys()
    place = faults.prepare(tmp_path / "killed")
    chosen = random.Random(0)
    for rule in RULES:
        run = faults.kill(place, rule, chosen.random(), moments)
        assert run.status == -signal.SIGKILL, (rule, run.output)
    run = place.run()
    assert run.status == 0, run.output
    assert "was killed and left its lock" in run.output
    assert faults.compare(place, contents(uninterrupted.folder / "results")) == []
    assert not place.run().rules


def test_a_run_killed_while_it_encodes_new_images_continues_to_the_end(workplace: Workplace) -> None:
    for label, category in enumerate(("apple", "leaf", "sea")):
        photograph(label, 50).save(workplace.folder / "collection" / category / "new.png")
    assert workplace.run("results/splits/train.csv").status == 0
    run = faults.kill(workplace, "encode", 0.5, {"encode": 8}, "report.html")
    assert run.status == -signal.SIGKILL, run.output
    run = workplace.run()
    assert run.status == 0, run.output
    # Without our handling, Snakemake would succeed here with the old report.
    assert {"encode", "assemble", "index", "evaluate", "report"} <= run.rules.keys()
    assert not workplace.run().rules


def test_two_runs_at_once_in_one_folder(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"evaluation": {"k": 1}})
    first = workplace.start()
    assert first.stdout is not None
    # The run has locked the folder now.
    for line in first.stdout:
        if line.startswith("Select jobs"):
            break
    second = workplace.run()
    assert second.status != 0
    assert "Directory cannot be locked" in second.output
    assert "Traceback" not in second.output and "left its lock" not in second.output
    output, _ = first.communicate()
    assert first.returncode == 0, output


def test_images_that_change_between_collect_and_encode(workplace: Workplace) -> None:
    new = workplace.folder / "collection/apple/new.png"
    # Both jobs that encode run the command, perhaps at the same time.
    changes = ["rm -f {}", "truncate --size 100 {}", "cp collection/sea/1.png {}", "mkfifo -m 0 new$$; mv -f new$$ {}"]
    for number, change in enumerate(changes):
        new.unlink(missing_ok=True)
        photograph(0, 50 + number).save(new)
        run = faults.run_with_command(workplace, "encode", change.format("collection/apple/new.png"))
        assert run.status != 0, change
        assert "Traceback" not in run.output
        [line] = {line for line in run.output.splitlines() if "ERROR The image collection/apple/new.png" in line}
        assert "has changed since the collection was read: run again" in line
        assert not (workplace.folder / "failed").read_text()
    new.unlink(missing_ok=True)
    photograph(0, 60).save(new)
    assert workplace.run().status == 0
    assert not workplace.run().rules


def test_images_that_are_removed_before_they_are_drawn(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"queries": {"k": 3}})
    run = faults.run_with_command(workplace, "query", "rm collection/*/*.png")
    assert run.status != 0
    assert "Traceback" not in run.output
    assert "cannot be shown (does not exist): run again, or put it back" in run.output


@pytest.mark.parametrize("year", [1990, 2100])
def test_a_clock_that_jumps(workplace: Workplace, year: int) -> None:
    """All files have times of another year in reverse order; new files are much later or much earlier."""
    results = [path for path in (workplace.folder / "results").rglob("*") if path.is_file()]
    results.sort(key=lambda path: -path.stat().st_mtime)
    for number, path in enumerate(results):
        seconds = (year - 1970) * 365 * 86400 + number
        os.utime(path, (seconds, seconds))
    assert not workplace.run().rules
    workplace.configure(CONFIG | {"evaluation": {"k": 1}})
    run = workplace.run()
    assert run.status == 0, run.output
    assert {"evaluate", "query", "simulate", "report"} <= run.rules.keys()
    assert not workplace.run().rules


def test_results_that_cannot_be_written(workplace: Workplace) -> None:
    """No user, not even root, can write to the folder of the kernel."""
    # The first message is Snakemake's.
    for name, words in (
        ("results", "create output directory results/"),
        (".snakemake", "cannot be written (Permission denied): allow writing there, or name another one"),
    ):
        target = workplace.folder / name
        target.rename(workplace.folder / "kept")
        target.symlink_to("/sys/kernel")
        run = workplace.run()
        assert run.status != 0
        assert "Traceback" not in run.output, run.output
        assert words in run.output
        target.unlink()
        (workplace.folder / "kept").rename(target)
    assert not workplace.run().rules
