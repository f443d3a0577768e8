# Train, validation and test images within each category.


# A checkpoint, because a split that stays the same reruns nothing.
checkpoint split:
    input:
        images="results/collection/images.csv",
    output:
        train="results/splits/train.csv",
        val="results/splits/val.csv",
        test="results/splits/test.csv",
    params:
        code=code("split.py"),
        split=settings(config["split"]),
    log:
        "results/logs/split.log",
    resources:
        mem_mb=2000,
        runtime=20,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/split.py"
