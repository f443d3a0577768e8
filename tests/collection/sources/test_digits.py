import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from cbir.collection.sources import digits


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("digits")
    return folder, digits.fetch(folder, {})


def test_every_digit_is_in_the_folder_of_its_label(written: tuple[Path, pd.DataFrame]) -> None:
    folder, table = written
    # The counts of UCI's test set, as its documentation states them.
    assert {path.name: len(list(path.iterdir())) for path in folder.iterdir()} == {
        "0": 178, "1": 182, "2": 177, "3": 183, "4": 181, "5": 182, "6": 181, "7": 179, "8": 174, "9": 180,
    }  # fmt: skip
    assert list(table.columns) == ["file", "author", "licence", "source"]
    assert table.file[0] == "0/0000.png"
    assert table.file[1796] == "8/1796.png"
    assert sorted(table.file) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_pillow_reads_the_original_values_back(written: tuple[Path, pd.DataFrame]) -> None:
    folder, table = written
    for name, original in zip(table.file, load_digits().images, strict=True):
        with Image.open(folder / name) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (32, 32))
            pixels = np.asarray(image)
        squares = pixels.reshape(8, 4, 8, 4)
        assert (squares == squares[:, :1, :, :1]).all()
        np.testing.assert_array_equal(np.round(pixels[::4, ::4] * (16 / 255)), original)
        assert pixels.max() == round(original.max() * 255 / 16)


def test_the_bytes_are_the_same_on_every_machine(written: tuple[Path, pd.DataFrame]) -> None:
    folder, table = written
    together = hashlib.sha256(b"".join((folder / name).read_bytes() for name in table.file))
    assert together.hexdigest() == "4920ec272bed0b7ad3f05ad63b6b8c601473458cfc9cadf56e0785e1a7a4684f"


def test_no_two_digits_are_the_same(written: tuple[Path, pd.DataFrame]) -> None:
    folder, table = written
    assert len({(folder / name).read_bytes() for name in table.file}) == 1797
