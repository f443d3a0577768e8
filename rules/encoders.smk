# Networks, ready to encode.


rule encoder:
    input:
        weights_file,
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
        mem_mb=4000,
        runtime=30,
    params:
        code=code("encoder.py"),
        row=encoder_row,
    script:
        "../scripts/encoder.py"


rule train:
    input:
        weights_file,
        train="results/splits/train.csv",
        val="results/splits/val.csv",
    output:
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
        history="results/encoders/{encoder}/history.csv",
        picture=report(
            "results/encoders/{encoder}/training.svg",
            caption="../report/training.rst",
            category="Training",
            labels={"encoder": "{encoder}"},
        ),
    log:
        "results/logs/train/{encoder}.log",
    benchmark:
        "results/benchmarks/train/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(TRAINED),
    conda:
        "../envs/tensorflow.yaml"
    threads: 16
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        code=code("train.py"),
        row=encoder_row,
    script:
        "../scripts/train.py"
