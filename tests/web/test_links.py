"""Symbolic links in a folder that comes from somebody else."""

from pathlib import Path

import pytest

from cbir.feedback.refinement import Refinement, Round
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.web import saving
from cbir.web.outside import Upload


@pytest.mark.parametrize("target", ["elsewhere", "absent"])
def test_an_image_is_not_saved_through_a_link(tmp_path: Path, target: str) -> None:
    folder, elsewhere = tmp_path / "feedback", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "images").symlink_to(tmp_path / target)
    upload = Upload(b"an image's bytes", "holiday.png", ".png")
    query = saving.outside_query("0" * 64, upload)
    rounds = (Round(relevant=(0,), irrelevant=()),)
    refinement = Refinement(query, "tiny", 3, "rocchio", Weights(1, 0.75, 0.15), rounds, "the page")
    with pytest.raises(InputError, match="images is a link, and nothing is written to where it leads: remove it"):
        saving.save(folder, "mine", refinement, ["tiny"], upload)
    assert list(elsewhere.iterdir()) == [] and not (tmp_path / "absent").exists()
    assert not (folder / "mine.json").exists()
    (folder / "images").unlink()
    assert saving.save(folder, "mine", refinement, ["tiny"], upload).is_file()
    assert (folder / query).read_bytes() == upload.data
