"""A user's mistakes are reported in one sentence, and the other jobs continue."""

import pickle
from pathlib import Path

import h5py
import pytest

from workplace import CONFIG, Run, Workplace


def require_message(run: Run, *parts: str) -> None:
    """Assert that the run failed without a traceback and with a line that contains all the parts."""
    assert run.status != 0
    assert "Traceback" not in run.output, run.output
    assert any(all(part in line for part in parts) for line in run.output.splitlines()), run.output


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"evaluation": {"kay": 3}}, ("evaluation", "unknown key 'kay'", "known are")),
        ({"evaluation": {"k": 0}}, ("evaluation.k", "at least 1")),
        ({"collection": {"source": "flickr"}}, ("collection.source", "sample", "folder")),
        ({"collection": {"source": "folder", "path": None}}, ("collection.path", "source: folder")),
        ({"split": {"train": 0.9}}, ("split.train", "sum")),
        ({"methods": {"siamese": {"encoder": "resnet"}}}, ("methods.siamese.encoder", "'resnet'", "known are")),
    ],
)
def test_a_wrong_key_or_value_of_the_configuration(workplace: Workplace, changes: dict, parts: tuple[str, ...]) -> None:
    workplace.configure(CONFIG | changes)
    require_message(workplace.run(), *parts)


def test_a_missing_folder(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"collection": {"source": "folder", "path": "nowhere"}})
    require_message(workplace.run(), "nowhere", "does not exist", "collection.path")


def test_a_category_too_small_to_split(workplace: Workplace) -> None:
    for number in range(2, 6):
        (workplace.folder / f"collection/leaf/{number}.png").unlink()
    require_message(workplace.run(), "'leaf'", "2 usable images", "add images, or set split.small")


def test_a_broken_image_is_rejected_and_the_run_continues(workplace: Workplace) -> None:
    path = workplace.folder / "collection/sea/broken.png"
    path.write_bytes((workplace.folder / "collection/sea/0.png").read_bytes()[:200])
    (workplace.folder / "collection/sea/empty.jpg").touch()
    run = workplace.run()
    assert run.status == 0, run.output
    assert "2 files rejected" in run.output
    rejected = (workplace.folder / "results/collection/rejected.csv").read_text()
    assert "collection/sea/broken.png,damaged or truncated" in rejected
    assert "collection/sea/empty.jpg,empty file" in rejected


def test_a_damaged_feature_store(workplace: Workplace) -> None:
    path = workplace.folder / "results/features/siamese/train.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    require_message(
        workplace.run("results/index/siamese.pkl", "--forcerun", "index"),
        "features/siamese/train.h5",
        "damaged",
        "remove it",
    )


def test_a_store_whose_vectors_were_changed(workplace: Workplace) -> None:
    path = workplace.folder / "results/features/siamese/train.h5"
    with h5py.File(path, "r+") as file:
        file["features"][0, 0] += 1
    run = workplace.run("results/index/siamese.pkl", "--forcerun", "index")
    require_message(run, "features/siamese/train.h5", "not those")


class Harmful:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def test_a_pickle_that_would_run_code(workplace: Workplace) -> None:
    target = workplace.folder / "harmed"
    path = workplace.folder / "results/index/siamese.pkl"
    path.write_bytes(pickle.dumps(Harmful(target)))
    run = workplace.run("results/evaluation/siamese/summary.json", "--forcerun", "evaluate")
    require_message(run, "index/siamese.pkl", "remove")
    assert not target.exists()


def test_a_query_that_is_not_an_image(workplace: Workplace) -> None:
    (workplace.folder / "note.txt").write_text("not an image")
    workplace.configure(CONFIG | {"queries": {"images": ["apple/none.png"]}})
    require_message(workplace.run(), "queries.images", "'apple/none.png'")
