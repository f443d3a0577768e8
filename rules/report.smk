# One page that shows everything.


def report_input(wildcards):
    return {
        "images": "results/collection/images.csv",
        "rejected": "results/collection/rejected.csv",
        "splits": expand("results/splits/{split}.csv", split=SPLITS),
        "credits": collection_input(wildcards),
        "encoders": expand("results/encoders/{encoder}.json", encoder=sorted(config["encoders"])),
        "summaries": expand("results/evaluation/{method}/summary.json", method=METHODS),
        "categories": expand("results/evaluation/{method}/categories.csv", method=METHODS),
        "confusions": expand("results/evaluation/{method}/confusion.svg", method=METHODS),
        "charts": expand("results/evaluation/{method}/categories.svg", method=METHODS),
        "worst": expand("results/evaluation/{method}/worst.json", method=METHODS),
        "indexes": expand("results/index/{method}.json", method=METHODS),
        "queries": expand("results/queries/{method}/{query}.json", method=METHODS, query=QUERIES),
        "pictures": expand("results/queries/{method}/{query}.png", method=METHODS, query=QUERIES),
        "template": f"{workflow.basedir}/report/report.html.j2",
    }


rule report:
    input:
        unpack(report_input),
    output:
        "results/report.html",
    params:
        code=code("report.py"),
        config=settings(config),
        methods=settings(METHODS),
        queries=settings(QUERIES),
        benchmarks="results/benchmarks",
    log:
        "results/logs/report.log",
    resources:
        mem_mb=4000,
        runtime=20,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/report.py"
