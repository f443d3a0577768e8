"""Inspect the artifacts of a run: print each for a person, and check it against the files that it was made from.

`python -m cbir.artifacts PATH...` is the command. A file's kind is a row of `registry.KINDS`: the pattern of its path,
what it is, and a function that checks it. Nothing is written, no network is loaded, and nothing in a file is run.
"""
