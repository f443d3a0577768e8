import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.collection.protocols import gallery


def test_all_images_are_train() -> None:
    rows = [[name, f"in/{name}", "", -1, name * 32] for name in ("b", "a", "c")]
    tables = gallery.split(pd.DataFrame(rows, columns=SPLIT_COLUMNS), {}, {"a" * 32: "x", "b" * 32: "x"})
    assert list(tables["train"]["image_id"]) == ["a", "b", "c"]
    assert tuple(tables) == SPLITS and tables["val"].empty and tables["test"].empty
    assert all(list(table.columns) == SPLIT_COLUMNS for table in tables.values())
