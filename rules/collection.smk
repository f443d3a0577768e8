# From a source of photographs to the table of usable images.


rule fetch:
    output:
        images=directory("results/sources/{source}/images"),
        credits="results/sources/{source}/credits.csv",
    wildcard_constraints:
        source="sample|digits|kaggle",
    params:
        code=code("fetch.py", "scripts/cbir/sources/sample.csv"),
        dataset=lambda wildcards: config["collection"]["dataset"] if wildcards.source == "kaggle" else "",
    log:
        "results/logs/fetch/{source}.log",
    benchmark:
        "results/benchmarks/fetch/{source}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/fetch.py"


# A checkpoint, because what follows is then asked anew which contents really changed.
checkpoint collect:
    input:
        collection_credits,
    output:
        images="results/collection/images.csv",
        rejected="results/collection/rejected.csv",
        categories="results/collection/categories.json",
        shards=expand("results/collection/shards/{shard}.csv", shard=SHARDS),
    params:
        code=code("collect.py"),
        folder=collection_folder(),
        contents=collection_contents,
        memory="results/collection/memory",
    log:
        "results/logs/collect.log",
    benchmark:
        "results/benchmarks/collect.tsv"
    threads: 16
    resources:
        mem_mb=4000,
        runtime=120,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/collect.py"
