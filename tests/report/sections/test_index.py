from report_run import Run

MEASURED = {
    **{"factory": "HNSW32", "rows": 12_345, "dimension": 128, "queries": 1000, "k": 3, "parameter": "efSearch"},
    **{"effort": 64, "least_recall": 0.95, "met": True, "bytes": 9_876_543},
    **{"recall_at_1": 0.999, "recall_at_10": 0.9876, "recall_at_k": 0.99},
    "times": {"median_ms": 0.456, "p95_ms": 0.789},
}


def test_without_an_approximate_index_there_is_no_section(run: Run) -> None:
    assert not run.report().all("section", id="index")


def test_recall_search_times_and_sizes_are_shown(run: Run) -> None:
    run.names["approximate"] = ["plain"]
    run.json("index/plain.quality.json", MEASURED)
    run.write("benchmarks/index/plain.tsv", "s\tmax_rss\n75.2\t100\n")
    text = run.section("index").text
    for shown in ("HNSW32 of 12,345 images, 128 values each", "efSearch 64", "98.8 %", "0.46", "9.9 MB", "1 min 15 s"):
        assert shown in text, shown


def test_a_recall_that_is_not_reached_is_reported(run: Run) -> None:
    run.names["approximate"] = ["plain"]
    run.json("index/plain.quality.json", MEASURED | {"met": False})
    assert "the recall stays below 95.0 %" in run.section("index").text


def test_changes_since_the_index_was_built_are_shown(run: Run) -> None:
    run.names["approximate"] = ["plain"]
    run.json("index/plain.quality.json", MEASURED | {"added_rows": 1234, "removed_rows": 0})
    run.write("benchmarks/index/plain.tsv", "s\tmax_rss\n1.2\t100\n")
    text = run.section("index").text
    assert "128 values each; 1,234 added and 0 removed since it was built" in text
    assert "kept: 1.2 s" in text
