# The KD-tree over a method's train features.


rule index:
    input:
        features="results/features/{method}/train.h5",
    output:
        tree="results/index/{method}.pkl",
        about="results/index/{method}.json",
    params:
        code=code("index.py"),
        leafsize=config["index"]["leafsize"],
    log:
        "results/logs/index/{method}.log",
    benchmark:
        "results/benchmarks/index/{method}.tsv"
    resources:
        mem_mb=8000,
        runtime=60,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/index.py"
