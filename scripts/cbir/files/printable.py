"""Make text safe for terminals and UTF-8 files."""


def printable(text: str) -> str:
    """Return the text as one line that is safe for terminals and UTF-8 files.

    Line breaks, control characters, bidirectional characters, and bytes of file names that are not UTF-8 are replaced
    by escape sequences.
    """
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
