# Networks, ready to encode.


def weights_file(wildcards):
    """The weights file that a person named, if it is one."""
    source = config["encoders"][wildcards.encoder]["weights"]
    return [] if source in ("imagenet", "random") else [source]


rule encoder:
    input:
        weights_file,
    output:
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
    params:
        code=code("encoder.py"),
        row=lambda wildcards: settings(
            {key: config["encoders"][wildcards.encoder][key] for key in ("architecture", "weights", "seed")}
        ),
    log:
        "results/logs/encoder/{encoder}.log",
    benchmark:
        "results/benchmarks/encoder/{encoder}.tsv"
    resources:
        mem_mb=4000,
        runtime=30,
    conda:
        "../envs/tensorflow.yaml"
    script:
        "../scripts/encoder.py"
