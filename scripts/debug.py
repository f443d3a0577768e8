"""Run the script of a job under a debugger: `python -m pdb scripts/debug.py evaluate method=pretrained`.

Arguments are a rule, its wildcards, and Snakemake's arguments that identify the run (`--directory`, `--configfile`,
`--config`). The job has the same inputs, parameters and wildcards as in Snakemake. Its inputs must exist, so run the
workflow first. Outputs go to a temporary folder, so the results of the run are not changed.

From a notebook or a test::

    job = debug.mock("evaluate", method="pretrained")
    importlib.import_module("evaluate").work(job)
"""

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from snakemake.api import SnakemakeApi
from snakemake.cli import parse_config
from snakemake.iocontainers import OutputFiles
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

import arguments as snakemake_arguments
from cbir.files import logs
from cbir.files.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def mock(
    rule: str, *, arguments: Sequence[str] = (), folder: str | Path | None = None, **wildcards: str
) -> SimpleNamespace:
    """Return the object ``snakemake`` of a job's script, without running anything.

    This changes the working folder to that of the run, because the paths of a job are relative to it.

    Args:
        rule: name of the rule.
        arguments: arguments of Snakemake, as on its command line.
        folder: folder of the outputs; None for a new temporary folder.
        wildcards: wildcards that identify the job among those of its rule.

    Returns:
        An object with the attributes that scripts use: ``input``, ``output``, ``params``, ``wildcards``, ``threads``,
        ``resources``, ``log`` and ``rule``.

    Raises:
        InputError: when the run has no such job, or several.
    """
    options = snakemake_arguments.parse(list(arguments))
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=options.cores or 1),
            config_settings=ConfigSettings(
                config=parse_config(options.config), configfiles=[path.resolve() for path in options.configfile or []]
            ),
            snakefile=ROOT / "Snakefile",
            workdir=options.directory,
        )
        workflow.dag(DAGSettings(forceall=True)).execute_workflow(executor="dryrun")
        # Snakemake's public API plans and runs workflows, but does not give access to the jobs.
        jobs = [job for job in workflow._workflow.dag.jobs if job.rule.name == rule]
    found = [job for job in jobs if wildcards.items() <= job.wildcards_dict.items()]
    if len(found) != 1:
        known = "; ".join(sorted(_words(rule, job.wildcards_dict) for job in jobs)) or "none"
        raise InputError(f"{len(found) or 'No'} jobs of this run are {_words(rule, wildcards)}: name one of {known}.")
    [job] = found
    os.chdir(options.directory or ".")
    folder = Path(folder or tempfile.mkdtemp(prefix=f"cbir-{rule}-"))
    output = OutputFiles(toclone=job.output, custom_map=lambda path: str(folder / path))
    for path in output:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(
        input=job.input,
        output=output,
        params=job.params,
        wildcards=job.wildcards,
        threads=job.threads,
        resources=job.resources,
        log=[str(folder / path) for path in job.log],
        rule=rule,
    )


def _words(rule: str, wildcards: dict[str, str]) -> str:
    return " ".join([rule, *(f"{name}={value}" for name, value in sorted(wildcards.items()))])


def main(given: list[str]) -> None:
    count = next((place for place, text in enumerate(given) if text.startswith("-")), len(given))
    rule, *pairs = given[:count] or [""]
    try:
        job = mock(rule, arguments=given[count:], **dict(pair.split("=", 1) for pair in pairs if "=" in pair))
        print("The outputs go to", Path(job.output[0]).parent, file=sys.stderr)
        logging.basicConfig(level=logging.INFO, handlers=[logs.handler()], force=True)
        importlib.import_module(rule).work(job)
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
