"""The options of an encoder that are not its architecture or its weights. This module does not import Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from cbir.collection.images import Crop
from cbir.encoders import architectures
from cbir.files.errors import InputError

Pooling = Literal["average", "max", "gem", "token"]

LARGEST = 2048
"""The largest side, in pixels, of the images that a network takes."""


@dataclass(frozen=True)
class Options:
    """Options of an encoder; the defaults do not change the features of the architecture.

    Attributes:
        size: (width, height) in pixels of the images that the network takes; None for the default of the architecture.
        pooling: the pooling of the last feature map, see `cbir.encoders.pooling`; None for that of the architecture.
        gem_p: the exponent of ``pooling: gem``.
        crop: how an image is brought to the size, see `cbir.collection.images.decode`.
        flip: average the features of the image and of its mirror image.
    """

    size: tuple[int, int] | None = None
    pooling: Pooling | None = None
    gem_p: float = 3.0
    crop: Crop = "squash"
    flip: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Options":
        """Return the options in a row of ``encoders``, or in the result of `given`; missing keys have their defaults.

        Raises:
            InputError: when a value is not allowed.
        """
        values = {field.name: row[field.name] for field in fields(cls) if field.name in row}
        size = values.get("size")
        if isinstance(size, int):
            values["size"] = (size, size)
        elif size is not None:
            values["size"] = tuple(size) if isinstance(size, list | tuple) else size
        options = cls(**values)
        if options.size is not None:
            require_size(options.size, "size")
        admitted = {
            "pooling": (None, *get_args(Pooling)),
            "crop": get_args(Crop),
            "flip": (True, False),
        }
        for name, choices in admitted.items():
            if getattr(options, name) not in choices:
                raise InputError(f"{name} is {getattr(options, name)!r}: make it one of {choices}.")
        if not isinstance(options.gem_p, int | float) or not options.gem_p > 0:
            raise InputError(f"gem_p is {options.gem_p!r}: make it a number above 0.")
        return options

    def given(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, as plain data for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.pooling != "gem":
            del values["gem_p"]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value != getattr(Options(), name)
        }


@dataclass(frozen=True)
class Preparation:
    """How images are prepared for a network: (width, height) in pixels, and how they are brought to this size."""

    size: tuple[int, int]
    crop: Crop = "squash"


def preparation(about: Mapping[str, Any], where: object) -> Preparation:
    """Return how images are prepared for the encoder that a side file describes.

    Args:
        about: the content of the side file.
        where: the side file, for messages.

    Raises:
        InputError: when the side file lacks the size or holds an invalid one.
    """
    try:
        steps = about.get("preprocessing", {})
        size = steps["size"] if "size" in steps else architectures.REGISTRY.get_entry(about["architecture"]).SIZE
        require_size(size, "size")
        return Preparation(tuple(size), Options.from_row(about.get("options", {})).crop)
    # In an edited side file each value may have any type.
    except (InputError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{where} does not say what images its network takes ({error}): run again.") from error


def require_size(size: Any, name: str) -> None:
    """Raise an error unless ``size`` is a width and a height in pixels, from 1 to `LARGEST`.

    Raises:
        InputError: naming the key.
    """
    sides = list(size) if isinstance(size, list | tuple) else []
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= LARGEST for side in sides):
        raise InputError(f"{name} is {size!r}: make it a side, or [width, height], of 1 to {LARGEST} pixels.")
