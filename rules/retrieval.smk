# The index over the gallery of a method, and example queries with their nearest neighbours.


rule index:
    input:
        features=f"results/features/{{method}}/{GALLERY}.h5",
    output:
        **index_outputs(0),
    log:
        "results/logs/index/{method}.log",
    benchmark:
        "results/benchmarks/index/{method}.tsv"
    wildcard_constraints:
        method=indexed_by(0),
    conda:
        "../envs/workflow.yaml"
    threads: spread(40)
    resources:
        mem_mb=grows(2000, per_mb=7),
        runtime=grows(20, per_mb=0.5),
    params:
        code=lambda wildcards: code("index.py", entries=index_kind(wildcards)),
        kind=lambda wildcards: INDEXES[wildcards.method][0],
        options=lambda wildcards: settings(INDEXES[wildcards.method][1]),
        max_changed=lambda wildcards: INDEXES[wildcards.method][3],
    script:
        "../scripts/index.py"


# Rules for methods whose index has other files. The kinds of the project have three: none, .pkl, and .faiss with .rows.h5.
if len(INDEX_GROUPS) > 1:

    use rule index as index_2 with:
        output:
            **index_outputs(1),
        wildcard_constraints:
            method=indexed_by(1),


if len(INDEX_GROUPS) > 2:

    use rule index as index_3 with:
        output:
            **index_outputs(2),
        wildcard_constraints:
            method=indexed_by(2),


rule index_quality:
    input:
        about="results/index/{method}.json",
        stored=lambda wildcards: f"results/index/{wildcards.method}.{INDEX_ENDINGS[wildcards.method]}",
        rows="results/index/{method}.rows.h5",
        gallery=f"results/features/{{method}}/{GALLERY}.h5",
        # Without labels there are no test images, so gallery images are the queries.
        asking=f"results/features/{{method}}/{QUERY_SPLIT if LABELLED else GALLERY}.h5",
    output:
        "results/index/{method}.quality.json",
    log:
        "results/logs/index_quality/{method}.log",
    benchmark:
        "results/benchmarks/index_quality/{method}.tsv"
    wildcard_constraints:
        method=one_of(APPROXIMATE),
    conda:
        "../envs/workflow.yaml"
    threads: spread(40)
    resources:
        mem_mb=grows(2000, per_mb=3),
        runtime=grows(20, per_mb=0.1),
    params:
        code=lambda wildcards: code("index_quality.py", entries=index_kind(wildcards)),
        k=config["evaluation"]["k"],
        recall=lambda wildcards: INDEXES[wildcards.method][2],
        seed=config["evaluation"]["seed"],
    script:
        "../scripts/index_quality.py"


rule outside:
    input:
        ranges="results/collection/ranges.json",
    output:
        "results/splits/{split}.csv",
    log:
        "results/logs/outside/{split}.log",
    wildcard_constraints:
        split=one_of(OUTSIDE),
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(20),
    params:
        code=code("outside.py"),
        image=lambda wildcards: OUTSIDE[wildcards.split],
        content=lambda wildcards: content_of(OUTSIDE[wildcards.split]),
    script:
        "../scripts/outside.py"


rule query:
    input:
        unpack(query_evaluation),
        unpack(index_files),
        gallery=f"results/features/{{method}}/{GALLERY}.h5",
        stores=query_stores,
        images="results/collection/images.csv",
        ranges="results/collection/ranges.json",
    output:
        data="results/queries/{method}/{query}.json",
        picture=report(
            "results/queries/{method}/{query}.png",
            caption="../report/query.rst",
            category="Queries",
            labels={"method": "{method}", "query": "{query}"},
        ),
    log:
        "results/logs/query/{method}/{query}.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=3),
        runtime=grows(10, per_mb=0.02),
    params:
        code=lambda wildcards: code("query.py", entries=index_kind(wildcards)),
        k=config["queries"]["k"],
        image=lambda wildcards: QUERY_IMAGES.get(wildcards.query, ""),
        drawn=lambda wildcards: DRAWN.index(wildcards.query) if wildcards.query in DRAWN else None,
        seed=config["queries"]["seed"],
    script:
        "../scripts/query.py"
