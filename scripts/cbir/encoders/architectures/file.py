"""A user's own network: ``file:PATH.keras`` names a Keras archive, whose weights are ``weights: own``.

The network is a functional or sequential model of Keras's own layers. It takes images (height, width, 3) with pixels
from 0 to 255, so its first layers do the preprocessing. Its output is a feature vector, or a feature map or tokens,
which are pooled. No code in the file runs: only classes of Keras that compute with arrays are built, see
`cbir.encoders.architectures._archived`.
"""

import os
from pathlib import Path
from typing import Any, ClassVar

from cbir.encoders.architectures import _archived
from cbir.encoders.options import require_size
from cbir.files.errors import InputError


def entry(word: str) -> "File":
    """Return the architecture in the file that ``file:PATH`` names."""
    return File(Path(os.path.expanduser(word.partition(":")[2])))


class File:
    """The architecture in a Keras archive, as an entry of `cbir.encoders.architectures`.

    Attributes:
        FILE: the archive; it also holds the weights ``own``.
    """

    PREPROCESSING = "by layers of the network itself"
    SOURCES: ClassVar[dict[str, str]] = {}

    def __init__(self, path: Path) -> None:
        self.FILE = path

    @property
    def SIZE(self) -> tuple[int, int]:  # noqa: N802
        """(width, height) of the images that the network takes.

        Raises:
            InputError: when the file holds no usable network, or one without a fixed size of images.
        """
        shape = _archived.input_layer(_archived.read(self.FILE))["config"].get("batch_shape") or []
        if len(shape) == 4 and shape[1] is None and shape[2] is None:
            raise InputError(
                f"The network in {self.FILE} takes images of any size: give the encoder's row a size, such as 224."
            )
        size = tuple(shape[2:0:-1])
        require_size(size, f"The size of the images that {self.FILE} takes")
        return size[0], size[1]

    def build(self, size: tuple[int, int]) -> Any:
        """Return the network, a functional `keras.Model`, with random weights.

        Raises:
            InputError: when the file holds no usable network.
        """
        config = _archived.read(self.FILE)
        _archived.set_size(config, size)
        return _archived.built(config, self.FILE)

    @staticmethod
    def restore(path: Path) -> Any:
        """Return the network in an archive of the results, with random weights.

        The user's file is not needed for this; it may have changed or been removed.

        Raises:
            InputError: when the archive holds no usable network.
        """
        return _archived.built(_archived.read(path), path)
