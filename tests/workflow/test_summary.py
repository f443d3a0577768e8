"""A run ends with a summary of its results, or with the error of each failed job."""

import re
import subprocess
from pathlib import Path

import pytest

from workplace import CONFIG, Workplace


def summary(output: str) -> list[str]:
    """Return the lines after the output of Snakemake."""
    return re.split(r"Elapsed time: .*\n|Exiting because a job execution failed.*\n", output)[-1].splitlines()


def test_a_run_ends_with_its_figures_and_their_files(workplace: Workplace) -> None:
    (workplace.folder / "collection/sea/broken.png").write_bytes(b"no image")
    run = workplace.run()
    assert run.status == 0, run.output
    images, head, figures, report, search = summary(run.output)[1:]
    doubtful = len((workplace.folder / "results/collection/suspects.csv").read_text().splitlines()) - 1
    assert images.startswith("Images used: 18, in 3 categories; files rejected: 1 (rejected.csv); labels in doubt: ")
    assert images.endswith(f": {doubtful} (suspects.csv)")
    assert head.split() == ["method", "accuracy", "ANMRR", "MAP"]
    assert re.fullmatch(r"  siamese +[0-9.]+ %  [01]\.\d{3}  [01]\.\d{3}", figures)
    assert report == f"Report: {workplace.folder.resolve()}/results/report.html"
    assert search == f'Search: make serve ARGS="--configfile {workplace.folder}/my.yaml --directory {workplace.folder}"'


def test_a_dry_run_and_a_run_of_single_targets_print_no_summary(workplace: Workplace) -> None:
    for arguments in (("--dry-run", "--forcerun", "index"), ("results/index/siamese.json", "--forcerun", "index")):
        run = workplace.run(*arguments)
        assert run.status == 0, run.output
        assert "Report: " not in run.output


def test_a_failed_run_ends_with_the_error_of_the_failed_job(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"queries": {"images": ["apple/none.png"]}})
    run = workplace.run()
    assert run.status == 1
    lines = summary(run.output)
    assert lines[-3] == "1 job failed:"
    assert re.fullmatch(r"  query siamese none-\w+: config: queries\.images names 'apple/none\.png', .*", lines[-2])
    assert lines[-1] == "Finished results are kept: repeat the command to continue from there."
    # Once when the job failed, and once at the end.
    assert run.output.count("names 'apple/none.png'") == 2


def test_no_job_is_started_after_a_failure(workplace: Workplace) -> None:
    for number in range(1, 6):
        (workplace.folder / f"collection/leaf/{number}.png").unlink()
    # The collection fails first; an encoder does not need it.
    workplace.configure(
        CONFIG
        | {"encoders": CONFIG["encoders"] | {"new": {"architecture": "siamese", "weights": "random", "seed": 9}}}
        | {"methods": CONFIG["methods"] | {"new": {"encoder": "new"}}}
    )
    one_core = [
        "1" if word == "2" else word for word in workplace.command("--prioritize", "results/collection/images.csv")
    ]
    run = subprocess.run(one_core, cwd=workplace.checkout, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    sentence = "  collect: The category 'leaf' has 1 usable image, fewer than the split needs (3 or more): "
    assert summary(run.stderr)[-2].startswith(sentence)
    assert "rule collect" in run.stderr
    assert "rule encoder" not in run.stderr


def test_a_killed_job_is_reported(workplace: Workplace) -> None:
    folder = workplace.root / "sabotage"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, sys\nif any('index.py' in argument for argument in sys.argv): os.kill(os.getpid(), 9)\n"
    )
    run = workplace.run("--forcerun", "index", PYTHONPATH=str(folder))
    assert run.status == 1
    assert summary(run.output)[-2] == (
        "  index siamese: it ended without an error message; it may have been killed or out of memory; "
        "see results/logs/index/siamese.log."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["collection={path: ~/birds, source: sample}"], "collection.path is /home/me/birds, but collection.source is"),
        (["collection={path: nowhere}"], "The image folder {folder}/nowhere does not exist"),
        (["evaluation={k: five}"], 'evaluation.k is "five", but must be integer'),
        (["encoders={siamese: {weights: w.keras}}"], "but there is no file {folder}/w.keras"),
        (["methods={siamese: null}"], "methods has no row that is switched on"),
    ],
)
def test_invalid_arguments_on_the_command_line(workplace: Workplace, arguments: list[str], sentence: str) -> None:
    run = workplace.run("--config", *arguments, HOME="/home/me")
    assert run.status == 1
    assert "Traceback" not in run.output
    assert sentence.replace("{folder}", str(workplace.folder)) in run.output


def test_values_on_the_command_line(workplace: Workplace) -> None:
    run = workplace.run(
        *("--config", "evaluation={k: 1, neighbours: 4}", "feedback={simulation: {methods: []}}", "report={title: 7}"),
        *("split={near_duplicates: {together: false}}", "index={leafsize: 8.0}"),
    )
    assert run.status == 0, run.output
    page = (workplace.folder / "results/report.html").read_text()
    assert "<title>7</title>" in page
    assert Path(workplace.folder / "results/evaluation/siamese/summary.json").read_text().count('"k": 1,') == 1
