import pandas as pd

from report_run import Run


def test_rejected_files_are_counted_by_reason_and_the_table_is_shortened(run: Run) -> None:
    conflict = "conflict: the same image in another category (x)"
    reasons = ["duplicate of cat/1.png"] * 201 + [conflict] * 2 + ["empty file"]
    table = pd.DataFrame({"path": [f"photos/{number}.png" for number in range(204)], "reason": reasons})
    run.csv("collection/rejected.csv", table)
    part = run.section("collection")
    assert "201 exact duplicates, 2 with the same image in another category and 1 that cannot be used." in part.text
    assert "The first 200 of 204" in part.text and "rejected.csv" in part.text
    assert len(part.all("table")[1].cells()) == 201


def test_counts_of_each_category_and_split(run: Run) -> None:
    part = run.section("collection")
    assert "No file was rejected." in part.text and "Each category has 10 images." in part.text
    assert part.one("table").cells() == [
        ["Category", "train", "val", "test", "all"],
        ["cat", "6", "0", "4", "10"],
        ["dog", "6", "0", "4", "10"],
        ["fish", "6", "0", "4", "10"],
        ["all", "18", "0", "12", "30"],
    ]


def test_skipped_files_and_notes_are_counted(run: Run) -> None:
    reasons = ["folder of the system or of a program (Synology)", "excluded by collection.exclude (x/)", "hidden"]
    run.csv("collection/rejected.csv", pd.DataFrame({"path": ["a/@eaDir/", "x/", "a/.b"], "reason": reasons}))
    run.csv("collection/notes.csv", pd.DataFrame({"path": ["a/1.png", "a/2.png"], "note": ["of one colour"] * 2}))
    text = run.section("collection").text
    assert "3 files were rejected: 1 of the system or of a program, 1 excluded by collection.exclude and 1 that" in text
    assert "2 images: of one colour, such as a/1.png" in text


def test_categories_of_the_same_size_are_counted(run: Run) -> None:
    train = run.images[run.images["image_id"].str.contains(r"/[0-5]\.png")]
    # There are fewer dogs and fish than cats, by one each.
    run.csv("splits/train.csv", train[~train["image_id"].isin([run.image(1, 0), run.image(2, 0)])])
    assert "The smallest categories are dog and 1 more with 9 images, the largest cat with 10." in (
        run.section("collection").text
    )
    run.csv("splits/train.csv", train[~train["image_id"].isin([run.image(1, 0)])])
    text = run.section("collection").text
    assert "The smallest category is dog with 9 images, the largest cat and 1 more with 10." in text
