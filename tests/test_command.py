"""The command `cbir`."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import cbir
from cbir.command import main
from cbir.files.errors import InputError
from cbir.retrieval import outside
from web.made import HOSTILE, embed, forget_labels, learn, write_results
from web.test_serve import visit
from workplace import REPOSITORY


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(outside, "open_network", lambda path, fingerprint, batch, calls=1: embed)
    monkeypatch.chdir(tmp_path)
    return write_results(tmp_path)


def test_search_prints_a_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "leaf/6.png", "--method", "tiny", "-k", "6"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["rank", "distance", "category", "image_id"]
    found = cbir.open(results).search("leaf/6.png", "tiny", 6)
    assert HOSTILE in set(found["image_id"])
    shown = [image_id.replace("\u202e", r"\u202e") for image_id in found["image_id"]]
    assert [line[header.index("image_id") :] for line in lines] == shown
    assert [line.split()[:3] for line in lines] == [
        [str(rank), f"{distance:.4f}", category]
        for rank, distance, category in zip(found["rank"], found["distance"], found["category"], strict=True)
    ]


def test_search_prints_probabilities_and_novelty(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learn(results, "tiny", 1000)
    assert main(["search", "leaf/6.png", "--method", "tiny", "-k", "2"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["rank", "distance", "probability", "category", "image_id"]
    found = cbir.open(results).search("leaf/6.png", "tiny", 2)
    cells = [f"{100 * probability:.0f} %" for probability in found["probability"]]
    assert [line.split()[2:4] for line in lines] == [cell.split() for cell in cells]
    assert {line.index("%") for line in lines} == {header.index("probability") + len("probability") - 1}
    learn(results, "tiny", 0.5)
    assert main(["search", "leaf/6.png", "--method", "tiny", "-k", "2"]) == 0
    score = cbir.open(results).novelty("leaf/6.png", "tiny").score
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"Nothing like it is here: the mean distance to the nearest images is {score:.4f}, above the threshold 0.5000."
    )


def test_search_takes_an_image_file_and_a_folder_of_results(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (30, 20), (60, 60, 220)).save(tmp_path / "photo.jpg")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["search", "../photo.jpg", "--results", "../results", "--method", "unit"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_messages_of_tensorflow_are_not_shown(
    results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (30, 20), (60, 60, 220)).save(tmp_path / "photo.jpg")

    def open_network(path: Path, fingerprint: str, batch: int) -> object:
        os.write(2, b"I0000 as TensorFlow does\n")
        print("as Python does", file=sys.stderr)
        logging.getLogger("absl").warning("as TensorFlow's converter does")
        return embed

    monkeypatch.setattr(outside, "open_network", open_network)
    # The handlers of pytest, because of which the command would not add its own.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert main(["search", "photo.jpg", "--method", "tiny"]) == 0
    assert capfd.readouterr().err == "as Python does\n"
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "none.jpg", "--method", "tiny"], "cbir search: 'none.jpg' is neither an image_id"),
        (["search", "sea/2.png", "--method", "none"], "cbir search: The results have no method 'none'"),
        (["search", "sea/2.png", "--method", "tiny", "--results", "none"], "cbir search: The folder none does not"),
        (["encode", "none.jpg", "--encoder", "tiny", "--output", "x.h5"], "cbir encode: The image none.jpg cannot be"),
        (["serve", "--results", "none"], "cbir serve: The folder none does not exist"),
        (["serve", "--port", "70000"], "cbir serve: The search page cannot listen on 127.0.0.1, port 70000"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(
    results: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(message)
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["search"], ["search", "x"], ["find", "x"], ["search", "x", "--meth", "t"]])
def test_arguments_that_cannot_be_understood(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: cbir" in capsys.readouterr().err


def test_encode_reports_the_written_file(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "collection/sea", "--encoder", "tiny", "--output", "sea.h5"]) == 0
    assert capsys.readouterr().out == "sea.h5: the features of 8 images by the encoder tiny\n"
    assert (tmp_path / "sea.h5").is_file()


def test_inspect_does_the_same_as_make_inspect(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cbir.artifacts.__main__ import main as inspect

    path = str(results / "collection/images.csv")
    statuses = [main(["inspect", path]), inspect([path])]
    printed = capsys.readouterr().out
    assert statuses[0] == statuses[1]
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]
    # Without a path, all of results/.
    main(["inspect"])
    assert "collection/images.csv" in capsys.readouterr().out


def test_serve_answers_at_the_address_that_it_prints(results: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cbir.command", "serve", "--port", "0"]
    environment = {"PYTHONPATH": str(REPOSITORY / "scripts")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            assert "Refinements go to feedback/folder." in line
            assert "Image search" in visit(re.search(r"http://\S+", line)[0])
        finally:
            server.kill()


def test_images_without_categories_can_be_searched_but_not_evaluated(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forget_labels(results)
    assert main(["search", "leaf/6.png", "--method", "tiny", "-k", "2"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["rank", "distance", "image_id"] and all(len(line.split()) == 3 for line in lines)
    for ask in (cbir.open(results).comparison, lambda: cbir.open(results).evaluation("tiny")):
        with pytest.raises(InputError, match=r"no categories \(collection.labels is none\), so nothing was evaluated"):
            ask()
