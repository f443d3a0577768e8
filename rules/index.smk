# The KD-tree over a method's train features.


rule index:
    input:
        features="results/features/{method}/train.h5",
    output:
        tree="results/index/{method}.pkl",
        about="results/index/{method}.json",
    log:
        "results/logs/index/{method}.log",
    benchmark:
        "results/benchmarks/index/{method}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=7),
        runtime=grows(20, per_mb=0.1),
    params:
        code=code("index.py"),
        leafsize=config["index"]["leafsize"],
    script:
        "../scripts/index.py"
