import pytest

from cbir.files.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("käfer 7.jpg", "käfer 7.jpg"),
        ("a\nb\tc", r"a\nb\tc"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("\x00", r"\x00"),
        ("\u2028", r"\u2028"),
        # A file name that is not UTF-8, as Python holds it; written as it is, it could not be encoded.
        ("\udcff", r"\udcff"),
    ],
)
def test_unprintable_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
