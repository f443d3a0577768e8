# Train encoders on the collection.

# Frozen encoders are outputs of no rule, so Snakemake treats them as source files.
try:
    FROZEN = cbir_frozen.frozen(RESULTS / "encoders", config["encoders"])
except InputError as error:
    raise WorkflowError(str(error))
if FROZEN and workflow.is_main_process:
    logger.info(f"Frozen, so not trained again, whatever has changed: {', '.join(FROZEN)}.")


rule train:
    input:
        unpack(weights_file),
        train="results/splits/train.csv",
        val="results/splits/val.csv",
    output:
        network="results/encoders/{encoder}.keras",
        about="results/encoders/{encoder}.json",
        history="results/encoders/{encoder}/history.csv",
    log:
        "results/logs/train/{encoder}.log",
    benchmark:
        "results/benchmarks/train/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(name for name in TRAINED if name not in FROZEN),
    conda:
        "../envs/tensorflow-gpu.yaml"
    threads: 16
    resources:
        mem_mb=grows_with_images(8000, 20, "train"),
        runtime=grows_with_images(60, train_minutes, "train"),
        gpu=1,
    params:
        code=lambda wildcards: code("train.py", entries=training_entries(wildcards)),
        row=encoder_row,
        k=validation_k,
        weights=weights_content,
    script:
        "../scripts/train.py"


# A separate rule, so that changes of the plot do not rerun the training.
rule plot_training:
    input:
        history="results/encoders/{encoder}/history.csv",
    output:
        picture=report(
            "results/encoders/{encoder}/training.svg",
            caption="../report/training.rst",
            category="Training",
            labels={"encoder": "{encoder}"},
        ),
    log:
        "results/logs/plot_training/{encoder}.log",
    wildcard_constraints:
        encoder=one_of(TRAINED),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        code=lambda wildcards: code("plot_training.py", entries=shown_metrics(wildcards)),
    script:
        "../scripts/plot_training.py"
