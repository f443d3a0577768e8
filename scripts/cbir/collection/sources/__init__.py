"""Where the images of a collection come from: one module a source, each filling a folder with a sub-folder a category.

Each returns a table of the pictures it wrote, with at least ``file`` (category/filename), ``author``, ``licence`` and
``source`` (where the original stands).
"""

INSTEAD = "write `collection: {source: digits}` or `collection: {source: folder, path: DIR}` in the config instead"
"""The remedy when a source cannot be reached from this machine."""
