from snakemake.utils import min_version

min_version("9.0")


include: "rules/workflow.smk"
include: "rules/collection.smk"
include: "rules/encoders.smk"
include: "rules/training.smk"
include: "rules/features.smk"
include: "rules/retrieval.smk"
include: "rules/evaluation.smk"
include: "rules/feedback.smk"
include: "rules/report.smk"
include: "rules/summary.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
    localrule: True
