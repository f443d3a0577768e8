"""Atomic writes, content hashes, HDF5, tables, registries, error messages, logs, progress and threads."""
