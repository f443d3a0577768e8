"""The columns of the collection's tables, apart from the code that fills them.

Whoever reads a table imports its columns from here, so that its code hash does not cover how the table is made: a
changed split algorithm does not by itself train a network again.
"""

IMAGE_COLUMNS = ["image_id", "path", "category", "label", "sha256", "width", "height", "bytes"]
REJECTED_COLUMNS = ["path", "reason"]
NOTE_COLUMNS = ["path", "note"]
HASH_COLUMNS = ["phash", "dhash", "phash_mirrored", "dhash_mirrored"]
HASHES_COLUMNS = ["sha256", *HASH_COLUMNS]
GROUP_COLUMNS = ["sha256", "group", "nearest", "distance", "mirrored", "doubted"]

SPLITS = ("train", "val", "test")
SPLIT_COLUMNS = ["image_id", "path", "category", "label", "sha256"]
NEAR_DUPLICATE_COLUMNS = [
    "group",
    "image_id",
    "category",
    "split",
    "nearest",
    "distance",
    "mirrored",
    "across_splits",
    "across_categories",
    "doubted",
]
