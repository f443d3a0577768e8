# The summary at the end of a run, after Snakemake's own messages.
import atexit
import time

import arguments as cbir_arguments
from cbir.evaluation import cut as cbir_cut
from cbir.report import summary as cbir_summary

STARTED = time.time()


def say_last(text):
    """Print a text when this process ends."""
    atexit.register(print, text, file=sys.stderr, flush=True)


def serve_command():
    """The command that serves this run's results."""
    if Path(workflow.rundir).resolve() == BASE.resolve():
        return cbir_arguments.make("serve", sys.argv[1:])
    return f"make -C {BASE} serve " + cbir_arguments.quoted(["--directory", str(Path.cwd())])


def failed_jobs():
    """What each failed job is called, and its log file."""
    for failed in workflow.scheduler.failed:
        for job in failed.jobs if failed.is_group() else [failed]:
            # Of a group of jobs, some may be finished and some not started.
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

    # If `make` started the run, `make` prints it, also when there was nothing to do.
    onsuccess:
        made = {job.rule.name for job in workflow.dag.jobs}
        if workflow.is_main_process and "report" in made and "CBIR_SUMMARY_FOLLOWS" not in os.environ:
            say_last(cbir_summary.outcome("results", serve_command(), cbir_cut.as_text))

    onerror:
        if workflow.is_main_process:
            say_last(cbir_summary.failures(failed_jobs(), STARTED))
