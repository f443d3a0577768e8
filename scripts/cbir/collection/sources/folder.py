"""A person's own folder, which is read where it lies."""

DESCRIPTION = "The folder {path}."
SETTINGS = ("path",)
