# Networks, ready to encode.


rule encoder:
    input:
        weights_file,
    output:
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
    wildcard_constraints:
        encoder=one_of(sorted(set(config["encoders"]) - set(TRAINED))),
    params:
        code=code("encoder.py"),
        row=encoder_row,
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
    wildcard_constraints:
        encoder=one_of(TRAINED),
    params:
        code=code("train.py"),
        row=encoder_row,
    log:
        "results/logs/train/{encoder}.log",
    benchmark:
        "results/benchmarks/train/{encoder}.tsv"
    threads: 16
    resources:
        mem_mb=8000,
        runtime=720,
    conda:
        "../envs/tensorflow.yaml"
    script:
        "../scripts/train.py"
