"""Run the work of one job in this process, for a debugger: `python -m pdb scripts/debug.py evaluate method=pretrained`.

Takes a rule, its wildcards and Snakemake's arguments that say what is run and where (`--directory`, `--configfile`,
`--config`). The job gets the inputs, parameters and wildcards that Snakemake would give it. Inputs must be there: run
the workflow first. Outputs go to a temporary folder, so that the results of the run stay as they are.

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
    """Return a job as Snakemake would hand it to the rule's script, without running anything.

    The working folder becomes that of the run, because the paths of a job start there.

    Args:
        rule: its name.
        arguments: Snakemake's, as on its command line.
        folder: where the outputs go; a new temporary folder where it is not given.
        wildcards: those that tell the job from others of its rule.

    Returns:
        What scripts use of a job: ``input``, ``output``, ``params``, ``wildcards``, ``threads``, ``resources``, ``log``
        and ``rule``.

    Raises:
        InputError: when the run that the arguments describe has no such job, or several.
    """
    asked = snakemake_arguments.parse(list(arguments))
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=asked.cores or 1),
            config_settings=ConfigSettings(
                config=parse_config(asked.config), configfiles=[path.resolve() for path in asked.configfile or []]
            ),
            snakefile=ROOT / "Snakefile",
            workdir=asked.directory,
        )
        workflow.dag(DAGSettings(forceall=True)).execute_workflow(executor="dryrun")
        # Snakemake's public interface plans and runs workflows, but gives no access to their jobs.
        jobs = [job for job in workflow._workflow.dag.jobs if job.rule.name == rule]
    found = [job for job in jobs if wildcards.items() <= job.wildcards_dict.items()]
    if len(found) != 1:
        known = "; ".join(sorted(_words(rule, job.wildcards_dict) for job in jobs)) or "none"
        raise InputError(f"{len(found) or 'No'} jobs of this run are {_words(rule, wildcards)}: name one of {known}.")
    [job] = found
    os.chdir(asked.directory or ".")
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
