# Evaluate each method with the test images as queries, and compare methods.

METRICS = [("evaluation/metrics", name) for name in cbir_metrics.REGISTRY]


# Inputs and settings that depend on the protocol: a list of relevant images, folds, or the val images as a second gallery.
if RELEVANCE_FILE:
    JUDGED_BY, JUDGED_HOW = RELEVANCE_FILE, {"setup": config["split"]["setup"]}
elif GALLERY == QUERY_SPLIT:
    JUDGED_BY = {"manifest": f"results/splits/{QUERY_SPLIT}.csv"}
    JUDGED_HOW = {"confidence": config["comparison"]["confidence"]} if FOLDS_FILE else {}
else:
    # The val images are a gallery that no network was trained on.
    JUDGED_BY, JUDGED_HOW = {"val": "results/features/{method}/val.h5"}, {}


rule evaluate:
    input:
        unpack(index_files),
        **JUDGED_BY,
        gallery=f"results/features/{{method}}/{GALLERY}.h5",
        asking=f"results/features/{{method}}/{QUERY_SPLIT}.h5",
        categories="results/collection/categories.json",
    output:
        **FOLDS_FILE,
        **CALIBRATION_FILE,
        summary="results/evaluation/{method}/summary.json",
        categories="results/evaluation/{method}/categories.csv",
        queries="results/evaluation/{method}/queries.csv",
        neighbours="results/evaluation/{method}/neighbours.csv",
        confusion="results/evaluation/{method}/confusion.csv",
        worst="results/evaluation/{method}/worst.json",
        cmc="results/evaluation/{method}/cmc.csv",
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
        code=lambda wildcards: code("evaluate.py", entries=METRICS + index_kind(wildcards)),
        settings=settings(config["evaluation"] | JUDGED_HOW),
        approximate=lambda wildcards: wildcards.method in APPROXIMATE,
        recall=lambda wildcards: INDEXES[wildcards.method][2],
    script:
        "../scripts/evaluate.py"


CALIBRATION_PICTURE = {
    name: report(
        "results/evaluation/{method}/calibration.svg",
        caption="../report/calibration.rst",
        category="Evaluation",
        labels={"method": "{method}", "figure": "how sure a result is"},
    )
    for name in CALIBRATION_FILE
}


# A separate rule, so that changes of the plots do not rerun the evaluation.
rule plot_evaluation:
    input:
        **CALIBRATION_FILE,
        confusion="results/evaluation/{method}/confusion.csv",
        categories="results/evaluation/{method}/categories.csv",
    output:
        **CALIBRATION_PICTURE,
        confusion=report(
            "results/evaluation/{method}/confusion.svg",
            caption="../report/confusion.rst",
            category="Evaluation",
            labels={"method": "{method}", "figure": "confusion matrix"},
        ),
        categories=report(
            "results/evaluation/{method}/categories.svg",
            caption="../report/categories.rst",
            category="Evaluation",
            labels={"method": "{method}", "figure": "categories"},
        ),
    log:
        "results/logs/plot_evaluation/{method}.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=10),
        runtime=grows(20, per_mb=0.1),
    params:
        code=code("plot_evaluation.py"),
    script:
        "../scripts/plot_evaluation.py"


STATISTICS = settings({key: config["comparison"][key] for key in ("confidence", "resamples", "seed")})


rule compare_methods:
    input:
        summaries=expand("results/evaluation/{method}/summary.json", method=METHODS),
        categories=expand("results/evaluation/{method}/categories.csv", method=METHODS),
        queries=expand("results/evaluation/{method}/queries.csv", method=METHODS),
    output:
        methods="results/comparison/methods.csv",
        tests="results/comparison/tests.csv",
        methods_picture=report(
            "results/comparison/methods.svg",
            caption="../report/comparison_methods.rst",
            category="Comparison",
            labels={"methods": "all", "figure": "accuracy, ANMRR and MAP"},
        ),
        categories="results/comparison/categories.csv",
        categories_picture=report(
            "results/comparison/categories.svg",
            caption="../report/comparison_categories.rst",
            category="Comparison",
            labels={"methods": "all", "figure": "F1 of each category"},
        ),
        best_worst="results/comparison/best_worst.csv",
    log:
        "results/logs/compare_methods.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=10),
        runtime=grows(60, per_mb=1),
    params:
        code=code("compare_methods.py", entries=METRICS),
        methods=settings(METHODS),
        settings=STATISTICS,
    script:
        "../scripts/compare_methods.py"


rule compare_pair:
    input:
        tests="results/comparison/tests.csv",
        summaries=evaluations("summary.json"),
        categories=evaluations("categories.csv"),
        queries=evaluations("queries.csv"),
    output:
        deltas="results/comparison/{a}_vs_{b}.csv",
        differences="results/comparison/{a}_vs_{b}.json",
        picture=report(
            "results/comparison/{a}_vs_{b}.svg",
            caption="../report/comparison_pair.rst",
            category="Comparison",
            labels={"methods": "{a} and {b}", "figure": "difference in F1"},
        ),
    log:
        "results/logs/compare_pair/{a}_vs_{b}.log",
    wildcard_constraints:
        a=one_of(METHODS),
        b=one_of(METHODS),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=10),
        runtime=grows(60, per_mb=1),
    params:
        code=code("compare_pair.py", entries=METRICS),
        settings=STATISTICS,
    script:
        "../scripts/compare_pair.py"
