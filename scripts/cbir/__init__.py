"""Content-based image retrieval: the library behind the workflow. It imports no Snakemake."""
