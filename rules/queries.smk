# Example queries: their nearest neighbours as data and as a picture.


def query_name(image):
    """A file name for a query image: what can be read of its name, and a hash that keeps it unique."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(image).stem).strip("._-")[:60] or "image"
    return f"{stem}-{sha256_json(image)[:8]}"


QUERY_IMAGES = {query_name(image): image for image in config["queries"]["images"]}
# An entry that is the path of a file comes from outside the collection.
OUTSIDE_IMAGES = sorted(image for image in QUERY_IMAGES.values() if Path(image).is_file())
QUERIES = config["queries"]["choose"] + sorted(QUERY_IMAGES)


def query_stores(wildcards):
    """The feature stores that may hold the query."""
    image = QUERY_IMAGES.get(wildcards.query)
    splits = ["test"] if image is None else ["outside"] if image in OUTSIDE_IMAGES else ["train", "val", "test"]
    return expand("results/features/{method}/{split}.h5", method=wildcards.method, split=splits)


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
