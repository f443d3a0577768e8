# From a source of photographs to the table of usable images.
from cbir import contents


def collection_folder():
    """The folder that holds one sub-folder a category."""
    source = config["collection"]["source"]
    return config["collection"]["path"] if source == "folder" else f"results/sources/{source}/images"


def collection_contents(wildcards):
    """Hash of all names and contents in a person's own folder; what other sources hold is an input of the rule."""
    if config["collection"]["source"] != "folder":
        return config["collection"]["source"]
    try:
        return contents.fingerprint(contents.hash_folder(collection_folder(), "results/collection/memory/contents.json"))
    except InputError as error:
        raise WorkflowError(str(error))


def collection_input(wildcards):
    source = config["collection"]["source"]
    return [] if source == "folder" else [f"results/sources/{source}/credits.csv"]


rule fetch:
    output:
        images=directory("results/sources/{source}/images"),
        credits="results/sources/{source}/credits.csv",
    wildcard_constraints:
        source="sample|digits|kaggle",
    params:
        code=code("fetch.py"),
        dataset=lambda wildcards: config["collection"]["dataset"] if wildcards.source == "kaggle" else "",
    log:
        "results/logs/fetch/{source}.log",
    benchmark:
        "results/benchmarks/fetch/{source}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/fetch.py"


# A checkpoint, because what follows is then asked anew which contents really changed.
checkpoint collect:
    input:
        collection_input,
    output:
        images="results/collection/images.csv",
        rejected="results/collection/rejected.csv",
        categories="results/collection/categories.json",
        shards=expand("results/collection/shards/{shard}.csv", shard=range(config["collection"]["shards"])),
    params:
        code=code("collect.py"),
        folder=collection_folder(),
        contents=collection_contents,
        memory="results/collection/memory",
    log:
        "results/logs/collect.log",
    benchmark:
        "results/benchmarks/collect.tsv"
    threads: 16
    resources:
        mem_mb=4000,
        runtime=120,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/collect.py"
