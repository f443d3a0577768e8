# Train, validation and test images within each category.


rule split:
    input:
        images="results/collection/images.csv",
        groups="results/collection/groups.csv",
    output:
        train="results/splits/train.csv",
        val="results/splits/val.csv",
        test="results/splits/test.csv",
        near_duplicates="results/collection/near_duplicates.csv",
    log:
        "results/logs/split.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=10),
        runtime=grows(20, per_mb=0.2),
    params:
        code=code("split.py"),
        split=settings(config["split"]),
    script:
        "../scripts/split.py"
