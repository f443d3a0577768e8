"""Write the report."""

import json
import logging
from pathlib import Path
from typing import Any

from cbir.files.tables import write_json
from cbir.report import build
from cbir.retrieval.indexes import REGISTRY as INDEXES
from cbir.workflow import leftovers
from cbir.workflow.job import run

log = logging.getLogger("cbir")

TEMPLATES = Path(__file__).resolve().parents[1] / "report"


def work(job: Any) -> None:
    config, methods, queries, simulated, asked = (
        json.loads(job.params[name]) for name in ("config", "methods", "queries", "simulated", "asked")
    )
    results = Path(job.output.page).parent
    # Here, because nothing else runs any more, and before the table of all jobs' times.
    for name in leftovers.remove(
        results, asked, {"json", *(kind.SUFFIX.removeprefix(".") for kind in INDEXES.values())}
    ):
        log.info("removed %s, which the configuration no longer asks for", name)
    answers = iter(job.input.queries)
    rows = [job.input[name] for name in ("summaries", "categories", "confusions", "worst", "indexes", "galleries")]
    files = build.Files(
        config=config,
        images=job.input.images,
        rejected=job.input.rejected,
        hashes=job.input.hashes,
        near_duplicates=job.input.near_duplicates,
        suspects=job.input.suspects,
        splits={Path(path).stem: path for path in job.input.splits},
        encoders={Path(path).stem: path for path in job.input.encoders},
        methods=[
            build.MethodFiles(method, *paths, {query: next(answers) for query in queries})
            for method, *paths in zip(methods, *rows, strict=True)
        ],
        benchmarks=str(results / "benchmarks"),
        credits=next(iter(job.input.credits), None),
        simulations=[
            build.SimulationFiles(*paths)
            for paths in zip(simulated, job.input.gains, job.input.curves, job.input.examples, strict=True)
        ],
        comparison=_comparison(job.input),
        trainings={
            Path(history).parent.name: (history, picture)
            for history, picture in zip(job.input.histories, job.input.trainings, strict=True)
        },
        refinements={Path(path).parent.name: path for path in job.input.refinements},
    )
    build.write(files, TEMPLATES, job.output.page)
    write_json(job.output.configuration, config)
    log.info("%s: %.1f MB", job.output.page, Path(job.output.page).stat().st_size / 10**6)


def _comparison(files: Any) -> build.ComparisonFiles | None:
    if not files.comparison:
        return None
    pairs = list(zip(files.pairs, files.pair_pictures, strict=True))
    return build.ComparisonFiles(*files.comparison, pairs=pairs)


run(work, snakemake)
