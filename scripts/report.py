"""Write the report."""

import json
import logging
from pathlib import Path
from typing import Any

from cbir import report
from cbir.job import run

log = logging.getLogger("cbir")

TEMPLATES = Path(__file__).resolve().parents[1] / "report"


def work(job: Any) -> None:
    config, methods, queries = (json.loads(job.params[name]) for name in ("config", "methods", "queries"))
    answers = iter(job.input.queries)
    rows = [job.input[name] for name in ("summaries", "categories", "confusions", "worst", "indexes", "galleries")]
    files = report.Files(
        config=config,
        images=job.input.images,
        rejected=job.input.rejected,
        splits={Path(path).stem: path for path in job.input.splits},
        encoders={Path(path).stem: path for path in job.input.encoders},
        methods=[
            report.MethodFiles(method, *paths, {query: next(answers) for query in queries})
            for method, *paths in zip(methods, *rows, strict=True)
        ],
        benchmarks=job.params.benchmarks,
        credits=next(iter(job.input.credits), None),
    )
    report.write(files, TEMPLATES, job.output[0])
    log.info("%s: %.1f MB", job.output[0], Path(job.output[0]).stat().st_size / 10**6)


run(work, snakemake)
