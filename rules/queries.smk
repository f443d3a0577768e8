# Example queries: their nearest neighbours as data and as a picture.


rule outside:
    input:
        OUTSIDE_IMAGES,
    output:
        "results/splits/outside.csv",
    params:
        code=code("outside.py"),
    log:
        "results/logs/outside.log",
    resources:
        mem_mb=2000,
        runtime=20,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/outside.py"


rule query:
    input:
        train="results/features/{method}/train.h5",
        tree="results/index/{method}.pkl",
        about="results/index/{method}.json",
        stores=query_stores,
        images="results/collection/images.csv",
        categories="results/evaluation/{method}/categories.csv",
        queries="results/evaluation/{method}/queries.csv",
    output:
        data="results/queries/{method}/{query}.json",
        picture=report(
            "results/queries/{method}/{query}.png",
            caption="../report/query.rst",
            category="Queries",
            labels={"method": "{method}", "query": "{query}"},
        ),
    params:
        code=code("query.py"),
        k=config["queries"]["k"],
        image=lambda wildcards: QUERY_IMAGES.get(wildcards.query, ""),
    log:
        "results/logs/query/{method}/{query}.log",
    resources:
        mem_mb=4000,
        runtime=20,
    conda:
        "../envs/workflow.yaml"
    script:
        "../scripts/query.py"
