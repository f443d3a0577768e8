"""Text that any terminal and any UTF-8 file takes."""


def printable(text: str) -> str:
    """Return text of one line that any terminal and any UTF-8 file takes.

    Line breaks, control and bidirectional characters, and bytes of a file name that are not UTF-8 are written as
    escapes.
    """
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
