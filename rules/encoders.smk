# Networks, ready to encode.


# Here and not on a cluster's node, which often reaches no registry.
rule weights:
    output:
        weights="results/weights/imagenet.keras",
        about="results/weights/imagenet.json",
    log:
        "results/logs/weights.log",
    localrule: True
    conda:
        "../envs/tensorflow.yaml"
    params:
        code=code("weights.py"),
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
        code=code("encoder.py"),
        row=encoder_row,
        weights=weights_content,
    script:
        "../scripts/encoder.py"


rule train:
    input:
        unpack(weights_file),
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
        "../envs/tensorflow-gpu.yaml"
    threads: 16
    resources:
        mem_mb=grows_with_images(8000, 20, "train"),
        runtime=grows_with_images(60, train_minutes, "train"),
        gpu=1,
    params:
        code=code("train.py"),
        row=encoder_row,
        weights=weights_content,
    script:
        "../scripts/train.py"
