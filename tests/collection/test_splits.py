import pandas as pd

from cbir.collection.columns import NEAR_DUPLICATE_COLUMNS
from cbir.collection.splits import near_duplicates
from collection.made import sha, table


def test_the_table_marks_groups_across_splits_and_categories() -> None:
    images = table({"a": 3, "b": 3})
    tables = {
        "train": images.iloc[[0, 1, 3]],
        "val": images.iloc[[4]],
        "test": images.iloc[[2, 5]],
    }
    # Rows 0 and 1 are in one split; 2 and 5 in one split and two categories; 3 and 4 in two splits.
    groups = pd.DataFrame(
        [[sha(one), sha(min(one, other)), sha(other), 8, 0] for one, other in [(0, 1), (1, 0), (2, 5), (5, 2), (3, 4)]]
        + [[sha(4), sha(3), sha(3), 8, 1]],
        columns=["sha256", "group", "nearest", "distance", "mirrored"],
    )
    groups["doubted"] = (groups["group"] == sha(3)).astype(int)
    found = near_duplicates(images, groups, tables)
    assert list(found.columns) == NEAR_DUPLICATE_COLUMNS
    assert found.to_numpy().tolist() == [
        [1, "b/0.png", "b", "train", "b/1.png", 8, 0, 1, 0, 1],
        [1, "b/1.png", "b", "val", "b/0.png", 8, 1, 1, 0, 1],
        [2, "a/2.png", "a", "test", "b/2.png", 8, 0, 0, 1, 0],
        [2, "b/2.png", "b", "test", "a/2.png", 8, 0, 0, 1, 0],
        [3, "a/0.png", "a", "train", "a/1.png", 8, 0, 0, 0, 0],
        [3, "a/1.png", "a", "train", "a/0.png", 8, 0, 0, 0, 0],
    ]
    assert near_duplicates(images, groups.iloc[:0], tables).empty
