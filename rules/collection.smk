# The collection: fetch images, list the usable ones, find near-duplicates and doubtful labels, split.


rule fetch:
    output:
        images=directory("results/sources/{source}/images"),
        credits="results/sources/{source}/credits.csv",
    log:
        "results/logs/fetch/{source}.log",
    benchmark:
        "results/benchmarks/fetch/{source}.tsv"
    wildcard_constraints:
        source=one_of([config["collection"]["source"]] if FETCHED else []),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(120),
    params:
        code=code("fetch.py", entries=[("collection/sources", config["collection"]["source"])]),
        # A function, because Snakemake would interpret braces in a string as wildcards.
        settings=lambda wildcards: settings({key: config["collection"][key] for key in SOURCE.SETTINGS}),
    script:
        "../scripts/fetch.py"


rule collect:
    input:
        collection_credits,
    output:
        images="results/collection/images.csv",
        notes="results/collection/notes.csv",
        ranges="results/collection/ranges.json",
        categories="results/collection/categories.json",
        hashes="results/collection/hashes.csv",
        shards=expand("results/collection/shards/{shard}.csv", shard=SHARDS),
    log:
        "results/logs/collect.log",
        # A log and not an output, because Snakemake keeps logs when the job fails.
        rejected="results/collection/rejected.csv",
    benchmark:
        "results/benchmarks/collect.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 16
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        # Error messages are data here, because rejected.csv lists them as reasons.
        code=code("collect.py", entries=[("files", "errors"), *COLLECT_ENTRIES]),
        # Functions, because Snakemake would interpret braces in a string as wildcards.
        folder=lambda wildcards: "" if FETCHED else config["collection"]["path"],
        contents=collection_contents,
        settings=lambda wildcards: settings(COLLECTED),
    script:
        "../scripts/collect.py"


# Taken from a path of a rule, because Snakemake adds the prefix of a module to it.
RESULTS = Path(rules.collect.output.images).parents[1]
if workflow.is_main_process:
    date_back(RESULTS)


rule near_duplicates:
    input:
        hashes="results/collection/hashes.csv",
        images="results/collection/images.csv",
    output:
        "results/collection/groups.csv",
    log:
        "results/logs/near_duplicates.log",
    benchmark:
        "results/benchmarks/near_duplicates.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: spread(1)
    resources:
        mem_mb=grows(4000, per_mb=20),
        runtime=grows(60, per_mb=1),
    params:
        code=code("near_duplicates.py"),
        distance=config["split"]["near_duplicates"]["distance"],
    script:
        "../scripts/near_duplicates.py"


rule suspects:
    input:
        images="results/collection/images.csv",
        groups="results/collection/groups.csv",
        about=f"results/encoders/{UNTRAINED}.json",
        shards=shards_of(UNTRAINED, SHARDS),
    output:
        "results/collection/suspects.csv",
    log:
        "results/logs/suspects.log",
    benchmark:
        "results/benchmarks/suspects.tsv"
    # Started after other jobs, because only the report needs it, and new images shall soon be searchable.
    priority: -1
    conda:
        "../envs/workflow.yaml"
    threads: spread(20)
    resources:
        mem_mb=grows(3000, per_mb=4),
        runtime=grows(60, per_mb=0.2),
    params:
        code=code("suspects.py", entries=[("features/steps", "l2")]),
        most=config["evaluation"]["exact_rows"],
        runtime=runtime_of(UNTRAINED),
    script:
        "../scripts/suspects.py"


rule split:
    input:
        images="results/collection/images.csv",
        groups="results/collection/groups.csv",
        ranges="results/collection/ranges.json",
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
        **RELEVANCE_CONTENT,
        code=code("split.py", entries=[("collection/protocols", config["split"]["protocol"])]),
        split=settings(SPLIT_SETTINGS),
    script:
        "../scripts/split.py"


# Used only by protocols with a user's list of relevant images.
rule relevance:
    output:
        "results/collection/relevance.csv",
    log:
        "results/logs/relevance.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(20),
    params:
        **RELEVANCE_CONTENT,
        code=code("relevance.py", entries=[("collection/protocols", config["split"]["protocol"])]),
        split=settings(SPLIT_SETTINGS),
    script:
        "../scripts/relevance.py"
