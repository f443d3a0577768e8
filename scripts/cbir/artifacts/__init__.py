"""Inspect the artifacts of a run: print what each contains, and check it against the files that it was made from.

`python -m cbir.artifacts PATH...` is the command. Each kind of file has a row in `registry.KINDS`: the pattern of its
path, a description, and a function that checks it. The command writes nothing, loads no network, and runs no code from
a file.
"""
