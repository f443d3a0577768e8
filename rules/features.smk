# Features: encode images by content into shards, assemble feature stores of splits, derive methods from other methods.


rule encode:
    input:
        images=shard_manifest,
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
    output:
        # With `update` Snakemake does not remove the existing file, whose rows the job reuses.
        update("results/encoded/{encoder}/{runtime}/{shard}.h5"),
    log:
        "results/logs/encode/{encoder}/{runtime}/{shard}.log",
    benchmark:
        "results/benchmarks/encode/{encoder}/{runtime}/{shard}.tsv"
    conda:
        "../envs/tensorflow-gpu.yaml"
    threads: encode_threads
    resources:
        mem_mb=grows_with_images(4000, 1, "images"),
        runtime=grows_with_images(30, 1, "images"),
        gpu=1,
    params:
        code=lambda wildcards: code("encode.py", entries=architecture_entry(wildcards)),
        batch=lambda wildcards: config["encoders"][wildcards.encoder]["batch"],
    script:
        "../scripts/encode.py"


rule assemble:
    input:
        manifest="results/splits/{split}.csv",
        about=encoder_about,
        shards=encoded_shards,
    output:
        "results/features/{method}/{split}.h5",
    log:
        "results/logs/assemble/{method}/{split}.log",
    wildcard_constraints:
        method=one_of(ENCODED),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(3000, per_mb=0.2),
        runtime=grows(20, per_mb=0.02),
    params:
        code=code("assemble.py"),
        runtime=lambda wildcards: runtime_of(config["methods"][wildcards.method]["encoder"]),
    script:
        "../scripts/assemble.py"


rule fit:
    input:
        parts=parts_features(GALLERY),
    output:
        "results/transforms/{method}.h5",
    log:
        "results/logs/fit/{method}.log",
    wildcard_constraints:
        method=one_of(sorted(set(METHODS) - set(ENCODED) - set(CHOSEN))),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=6),
        runtime=grows(20, per_mb=0.1),
    params:
        code=lambda wildcards: code("fit.py", entries=steps_of(wildcards.method)),
        row=lambda wildcards: settings(config["methods"][wildcards.method]),
    script:
        "../scripts/fit.py"


# Used instead of `fit` for methods whose values are chosen with the val images.
rule choose:
    input:
        train=parts_features("train"),
        val=parts_features("val"),
        gallery=parts_features(GALLERY),
        categories="results/collection/categories.json",
    output:
        "results/transforms/{method}.h5",
    log:
        "results/logs/choose/{method}.log",
    wildcard_constraints:
        method=one_of(CHOSEN),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=15),
        runtime=grows(20, per_mb=1),
    params:
        code=lambda wildcards: code("choose.py", entries=[*steps_of(wildcards.method), monitor_entry(wildcards)]),
        row=lambda wildcards: settings(config["methods"][wildcards.method]),
        k=lambda wildcards: k_of(monitor_entry(wildcards)),
    script:
        "../scripts/choose.py"


rule derive:
    input:
        transform="results/transforms/{method}.h5",
        parts=parts_features(None),
    output:
        "results/features/{method}/{split}.h5",
    log:
        "results/logs/derive/{method}/{split}.log",
    wildcard_constraints:
        method=one_of(sorted(set(METHODS) - set(ENCODED))),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=6),
        runtime=grows(20, per_mb=0.1),
    params:
        code=lambda wildcards: code("derive.py", entries=steps_of(wildcards.method)),
        gallery=GALLERY,
    script:
        "../scripts/derive.py"
