# Encoders that are not trained, and published weights.


# A local rule, because nodes of a cluster often have no internet access.
rule weights:
    output:
        weights="results/weights/{architecture}-{source}.keras",
        about="results/weights/{architecture}-{source}.json",
    log:
        "results/logs/weights/{architecture}-{source}.log",
    wildcard_constraints:
        architecture=one_of(ARCHITECTURES),
        source="[a-z0-9-]+",
    localrule: True
    conda:
        "../envs/tensorflow.yaml"
    params:
        code=lambda wildcards: code(
            "weights.py", entries=[("encoders/architectures", ARCHITECTURES[wildcards.architecture])]
        ),
        architecture=lambda wildcards: ARCHITECTURES[wildcards.architecture],
        content=preset_content,
    script:
        "../scripts/weights.py"


rule encoder:
    input:
        unpack(weights_file),
    output:
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
    log:
        "results/logs/encoder/{encoder}.log",
    benchmark:
        "results/benchmarks/encoder/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(sorted(set(config["encoders"]) - set(TRAINED))),
    conda:
        "../envs/tensorflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(30),
    params:
        code=lambda wildcards: code("encoder.py", entries=architecture_entry(wildcards)),
        row=encoder_row,
        weights=weights_content,
    script:
        "../scripts/encoder.py"
