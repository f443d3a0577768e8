import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from cbir.report import pictures


def test_a_picture_is_reduced_and_keeps_its_proportions(tmp_path: Path) -> None:
    Image.fromarray(np.full((100, 400, 3), 200, np.uint8)).save(tmp_path / "wide.png")
    uri = pictures.picture(tmp_path / "wide.png", 96)
    head, data = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (96, 24)
    assert pictures.picture(tmp_path / "missing.png", 96) == ""
