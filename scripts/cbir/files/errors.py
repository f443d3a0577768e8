"""The one exception for what a person can mend."""

from cbir.files.printable import printable


class InputError(ValueError):
    """Something a person handed in cannot be used.

    The message is one sentence: what is wrong, where, and how to mend it. It is shown without a traceback. Names in it
    may be hostile, so it is made `printable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
