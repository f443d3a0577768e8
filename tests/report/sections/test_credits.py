from report_run import Run


def test_equal_credits_share_a_row_and_only_web_addresses_are_links(run: Run) -> None:
    assert not run.report().all("section", id="credits")
    run.credit()
    part = run.section("credits")
    assert "Licences: CC0-1.0 (7), CC-BY-4.0 (1)." in part.text
    head, cats, dogs = part.one("table").cells()
    assert head == ["Image", "Author", "Licence", "Source"]
    assert cats[0] == "cat/0.png, cat/1.png, cat/2.png, cat/3.png, cat/4.png and 2 more"
    assert dogs == ["dog/1.png", "<i>Bob</i>", "CC-BY-4.0", "javascript:alert(1)"]
    assert [link.attrs["href"] for link in part.all("a")] == ["https://example.org/cats"]
