"""Write the report."""

import json
import logging
from pathlib import Path
from typing import Any

from cbir.report import build, leftovers
from cbir.report.results import Results
from cbir.retrieval.indexes import REGISTRY as INDEXES
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    config, names, asked = (json.loads(job.params[name]) for name in ("config", "names", "asked"))
    folder = Path(job.output.report).parent
    # This is the last job, so no other job needs these files. They are removed first, so that the report omits them.
    endings = {"json", *(kind.SUFFIX.removeprefix(".") for kind in INDEXES.values())}
    for name in leftovers.remove(folder, asked, endings):
        log.info("removed %s, which the configuration no longer asks for", name)
    build.write(Results(folder, config, names), job.output.report)
    log.info("%s: %.1f MB", job.output.report, Path(job.output.report).stat().st_size / 10**6)


if __name__ == "__main__":
    run(work, snakemake)
