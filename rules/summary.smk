# Print the summary of a run after Snakemake's own messages.
import atexit
import time

import arguments as cbir_arguments
from cbir.evaluation import cut as cbir_cut
from cbir.report import summary as cbir_summary

STARTED = time.time()


def say_last(text):
    """Print a text to standard error when this process ends."""
    atexit.register(print, text, file=sys.stderr, flush=True)


def serve_command():
    """Return the command that serves the results of this run."""
    if Path(workflow.rundir).resolve() == BASE.resolve():
        return cbir_arguments.make("serve", sys.argv[1:])
    return f"make -C {BASE} serve " + cbir_arguments.quoted(["--directory", str(Path.cwd())])


def failed_jobs():
    """Yield the name and the log file of each failed job."""
    for failed in workflow.scheduler.failed:
        for job in failed.jobs if failed.is_group() else [failed]:
            # In a failed group, some jobs may be finished and others not started.
            if job.log and not (failed.is_group() and all(Path(path).exists() for path in job.output)):
                yield " ".join([job.rule.name, *job.wildcards_dict.values()]), str(job.log[0])


# A workflow that imports this one prints its own summary.
if IS_MAIN:

    onstart:
        training = [job for job in workflow.dag.needrun_jobs() if job.rule.name == "train"]
        if workflow.is_main_process and training:
            logger.info(
                cbir_summary.trainings({job.wildcards.encoder: Path(str(job.benchmark)) for job in training})
            )

    # If `make` started the run, it prints the summary itself, even if there was nothing to do.
    onsuccess:
        made = {job.rule.name for job in workflow.dag.jobs}
        if workflow.is_main_process and "report" in made and "CBIR_SUMMARY_FOLLOWS" not in os.environ:
            say_last(cbir_summary.outcome("results", serve_command(), cbir_cut.as_text))

    onerror:
        if workflow.is_main_process:
            say_last(cbir_summary.failures(failed_jobs(), STARTED))
