# Images to feature stores: encode once, by content; gather rows into any split.


def shard_manifest(wildcards):
    return (
        "results/splits/outside.csv"
        if wildcards.shard == "outside"
        else f"results/collection/shards/{wildcards.shard}.csv"
    )


def encoded_shards(wildcards):
    """The shards that hold a split's rows."""
    encoder = config["methods"][wildcards.method]["encoder"]
    shards = ["outside"] if wildcards.split == "outside" else range(config["collection"]["shards"])
    return expand("results/encoded/{encoder}/{shard}.h5", encoder=encoder, shard=shards)


def encoder_of(wildcards):
    return config["methods"][wildcards.method]["encoder"]


rule encode:
    input:
        images=shard_manifest,
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
    output:
        # Kept while the job runs: it reuses the rows that are there.
        update("results/encoded/{encoder}/{shard}.h5"),
    params:
        code=code("encode.py"),
        batch=lambda wildcards: config["encoders"][wildcards.encoder]["batch"],
    log:
        "results/logs/encode/{encoder}/{shard}.log",
    benchmark:
        "results/benchmarks/encode/{encoder}/{shard}.tsv"
    threads: 16
    resources:
        mem_mb=4000,
        runtime=240,
    conda:
        "../envs/tensorflow.yaml"
    script:
        "../scripts/encode.py"


rule assemble:
    input:
        manifest="results/splits/{split}.csv",
        about=lambda wildcards: f"results/encoders/{encoder_of(wildcards)}.json",
        # The manifest and the encoder say all that matters; a shard that changed elsewhere reruns nothing.
        shards=ancient(encoded_shards),
    output:
        "results/features/{method}/{split}.h5",
    params:
        code=code("assemble.py"),
    log:
        "results/logs/assemble/{method}/{split}.log",
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/assemble.py"
