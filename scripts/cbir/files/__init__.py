"""Files that appear whole or not at all, content hashes, HDF5, error messages, progress and threads."""
