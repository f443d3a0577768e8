"""The one exception for what a person can mend."""


class InputError(ValueError):
    """Something a person handed in cannot be used.

    The message is one sentence: what is wrong, where, and how to mend it. It is shown without a traceback. Names in it
    may be hostile, so it is made `printable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Return text of one line that any terminal and any UTF-8 file takes.

    Line breaks, control and bidirectional characters, and bytes of a file name that are not UTF-8 are written as
    escapes.
    """
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
