"""A collection without categories, in the folder of a run with some: results that need them are removed."""

import json
import re

import pandas as pd

from cbir.artifacts.__main__ import main
from workplace import CONFIG, Workplace


def test_images_without_categories(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"collection": CONFIG["collection"] | {"labels": "none"}})
    done = workplace.run()
    assert done.status == 0, done.output
    assert "Traceback" not in done.output and "ERROR" not in done.output
    made = {"configuration": 1, "collect": 1, "near_duplicates": 1, "split": 1, "encode": 2}
    assert done.rules == made | {"assemble": 3, "index": 1, "query": 3, "report": 1}
    # The vectors have not changed.
    assert set(re.findall(r"(\d+) images encoded", done.output)) <= {"0"}
    assert "Images used: 18, without categories; files rejected: 0" in done.output
    results = workplace.folder / "results"
    images = pd.read_csv(results / "collection/images.csv", keep_default_na=False)
    assert set(images["category"]) == {""} and len(images) == 18
    assert len(pd.read_csv(results / "splits/train.csv")) == 18
    queries = [json.loads(path.read_text()) for path in sorted(results.glob("queries/siamese/*.json"))]
    assert len({query["query"] for query in queries}) == 3
    assert all(query["query"] not in [item["image_id"] for item in query["neighbours"]] for query in queries)
    assert not [path for name in ("evaluation", "feedback") for path in (results / name).rglob("*")]
    assert not (results / "collection/suspects.csv").exists()
    assert main([str(results)]) == 0
    assert workplace.run().rules == {}
