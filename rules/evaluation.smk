# Every test image as a query.


rule evaluate:
    input:
        train="results/features/{method}/train.h5",
        test="results/features/{method}/test.h5",
        tree="results/index/{method}.pkl",
        about="results/index/{method}.json",
        categories="results/collection/categories.json",
    output:
        summary="results/evaluation/{method}/summary.json",
        categories="results/evaluation/{method}/categories.csv",
        queries="results/evaluation/{method}/queries.csv",
        neighbours="results/evaluation/{method}/neighbours.csv",
        confusion="results/evaluation/{method}/confusion.csv",
        confusion_picture=report(
            "results/evaluation/{method}/confusion.svg",
            caption="../report/confusion.rst",
            category="Evaluation",
            labels={"method": "{method}", "figure": "confusion matrix"},
        ),
        categories_picture=report(
            "results/evaluation/{method}/categories.svg",
            caption="../report/categories.rst",
            category="Evaluation",
            labels={"method": "{method}", "figure": "categories"},
        ),
        worst="results/evaluation/{method}/worst.json",
    log:
        "results/logs/evaluate/{method}.log",
    benchmark:
        "results/benchmarks/evaluate/{method}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: spread(40)
    resources:
        mem_mb=grows(3000, per_mb=4),
        runtime=grows(60, per_mb=0.2),
    params:
        code=code("evaluate.py"),
        settings=settings(config["evaluation"]),
    script:
        "../scripts/evaluate.py"
