# One page that shows everything.


report: "../report/workflow.rst"


def report_input(wildcards):
    per_method = {
        "summaries": "results/evaluation/{method}/summary.json",
        "categories": "results/evaluation/{method}/categories.csv",
        "confusions": "results/evaluation/{method}/confusion.csv",
        "worst": "results/evaluation/{method}/worst.json",
        "indexes": "results/index/{method}.json",
        "galleries": "results/features/{method}/train.h5",
    }
    return {
        "images": "results/collection/images.csv",
        "rejected": "results/collection/rejected.csv",
        "splits": expand("results/splits/{split}.csv", split=SPLITS),
        "credits": collection_credits(wildcards),
        "encoders": expand("results/encoders/{encoder}.json", encoder=sorted(config["encoders"])),
        **{name: expand(path, method=METHODS) for name, path in per_method.items()},
        "queries": expand("results/queries/{method}/{query}.json", method=METHODS, query=QUERIES),
    }


def templates():
    """Content hash of the page's templates: as inputs, their paths would rerun the rule in a moved checkout."""
    files = [path for path in sorted((BASE / "report").rglob("*")) if path.suffix in (".j2", ".css", ".js")]
    return sha256_json([[path.name, path.read_text(encoding="utf-8")] for path in files])


rule report:
    input:
        unpack(report_input),
    output:
        report(
            "results/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"figure": "the whole report on one page"},
        ),
    params:
        code=code("report.py"),
        config=settings(config),
        methods=settings(METHODS),
        queries=settings(QUERIES),
        benchmarks="results/benchmarks",
        templates=templates(),
    log:
        "results/logs/report.log",
    resources:
        mem_mb=4000,
        runtime=20,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/report.py"
