from report_run import Run


def test_timings_may_be_missing_or_not_measured(run: Run) -> None:
    assert not run.report().all("section", id="timings")
    folder = run.results / "benchmarks"
    (folder / "encode" / "net").mkdir(parents=True)
    (folder / "collect.tsv").write_text("s\th:m:s\tmax_rss\n0.40\t0:00:00\tNA\n")
    (folder / "encode" / "net" / "0.tsv").write_text("s\th:m:s\tmax_rss\n75.2\t0:01:15\t1164.52\n")
    (folder / "split.tsv").write_text("s\th:m:s\tmax_rss\n0.20\t0:00:00\t0.00\n")
    part = run.section("timings")
    assert part.one("table").cells()[1:] == [
        ["encode", "net/0", "1 min 15 s", "1,165 MB"],
        ["collect", "", "0.4 s", "–"],
        ["split", "", "0.2 s", "–"],
    ]
    assert "1 min 16 s" in part.text
