from pathlib import Path

from report_run import PREDICTED, Node, Run


def tiles(part: Node) -> list[str]:
    return [node.attrs["class"].split()[-1] for node in part.all() if "picture" in node.attrs.get("class", "").split()]


def test_every_misranked_query_is_shown_with_its_nearest_images(run: Run) -> None:
    part = run.section("errors")
    assert [pair.one("p").text for pair in part.all("div", class_="pair")] == [
        "cat taken for dog 1 query",
        "dog taken for fish 2 queries",
    ]
    errors = part.all("details", class_="error")
    # By hand: the last cat and the last two dogs; the one with the worse ranking comes first.
    assert [error.one("summary").text for error in errors] == ["9.png", "9.png", "8.png"]
    assert [card.one("figcaption").text for card in errors[1].all("figure")] == [
        "query: dog taken for fish ; NMRR 0.438 dog/9.png",
        "✗ wrong fish 1.png distance 0.500",
        "✗ wrong fish 2.png distance 1.000",
        "✓ right dog 3.png distance 1.500",
    ]
    # The file lists three neighbours, and more are configured.
    assert "with its 3 nearest images" in part.text


def test_cells_of_the_matrix_and_rows_of_the_categories_link_to_their_errors(run: Run) -> None:
    run.methods(one=0.2, two=0.3)
    page = run.report()
    matrix, frequent = page.one("section", id="confusion").all("details", class_="method")[1].all("table")
    assert [link.attrs["href"] for link in matrix.all("a")] == ["#errors.two.0.1", "#errors.two.1.2"]
    assert [link.attrs["href"] for link in frequent.all("a")] == ["#errors.two.1.2", "#errors.two.0.1"]
    rows = page.one("section", id="categories").all("details", class_="method")[1].one("table")
    # All fish are right.
    assert [(link.attrs["href"], link.text) for link in rows.all("a")] == [
        ("#errors.two.0", "cat"),
        ("#errors.two.1", "dog"),
    ]
    errors = page.one("section", id="errors")
    assert [pair.one("p").text for pair in errors.one("div", id="errors.two.1").all("div", class_="pair")] == [
        "dog taken for fish 2 queries"
    ]


def test_a_picture_is_in_the_file_once(run: Run) -> None:
    run.methods(one=0.2, two=0.3, three=0.4)
    part = run.section("errors")
    # Three misclassified queries, and their neighbours fish 1 and 2, dogs 1 to 3 and cat 3.
    assert len(set(tiles(part))) == 3 + 6
    text = (run.results / "report.html").read_text(encoding="utf-8")
    for name in set(tiles(part)):
        assert text.count(f".{name}{{background-image:url(data:image/jpeg;base64,") == 1


def test_with_very_many_errors_the_first_are_shown_and_all_are_counted(run: Run, monkeypatch) -> None:
    monkeypatch.setattr("cbir.report.sections.errors.MOST", 2)
    part = run.section("errors")
    assert "The first 2 of 3" in part.text and "evaluation/plain/queries.csv" in part.text
    assert [pair.one("p").text for pair in part.all("div", class_="pair")] == [
        "cat taken for dog 1 query",
        "dog taken for fish 2 queries, 1 shown",
    ]


def test_without_errors_there_is_no_list(run: Run) -> None:
    queries = run.results / "evaluation/plain/queries.csv"
    text = queries.read_text()
    assert PREDICTED.count(1) == 3
    queries.write_text(text.replace(",cat,dog,", ",cat,cat,").replace(",dog,fish,", ",dog,dog,"))
    assert not run.report().all("section", id="errors")


def test_a_picture_that_cannot_be_read_has_a_note(run: Run) -> None:
    Path(run.images["path"][9]).unlink()
    run.text()
    assert '::before{content:"picture cannot be read"}' in (run.results / "report.html").read_text(encoding="utf-8")
