"""The columns of the collection's tables.

They are in a module without code, so that a rule that reads a table does not cover in its code hash how the table is
made. Otherwise a change of the split algorithm alone would train networks again.
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
