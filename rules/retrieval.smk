# The index over a method's gallery, and example queries: their nearest neighbours as data and as a picture.


rule index:
    input:
        features=f"results/features/{{method}}/{GALLERY}.h5",
    output:
        **INDEX_FILES,
    log:
        "results/logs/index/{method}.log",
    benchmark:
        "results/benchmarks/index/{method}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=7),
        runtime=grows(20, per_mb=0.1),
    params:
        code=code("index.py", entries=INDEX_KIND),
        kind=config["index"]["kind"],
        options=settings(INDEX_OPTIONS),
    script:
        "../scripts/index.py"


rule outside:
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
        **INDEX_FILES,
        gallery=f"results/features/{{method}}/{GALLERY}.h5",
        stores=query_stores,
        images="results/collection/images.csv",
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
        code=code("query.py", entries=INDEX_KIND),
        k=config["queries"]["k"],
        image=lambda wildcards: QUERY_IMAGES.get(wildcards.query, ""),
        drawn=lambda wildcards: DRAWN.index(wildcards.query) if wildcards.query in DRAWN else None,
        seed=config["queries"]["seed"],
    script:
        "../scripts/query.py"
