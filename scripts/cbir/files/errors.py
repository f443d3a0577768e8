"""The exception for errors that a user can fix."""

from cbir.files.printable import printable


class InputError(ValueError):
    """An error in the input or the environment that a user can fix.

    The message is one sentence that says what is wrong, where, and how to fix it. It is shown without a traceback. It
    is made `printable`, because names in it may be hostile.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
