"""Parse the structure of JPEG files (ITU-T T.81, annex B): how many scans they have, and where they end."""

import re

# A marker within a scan's data: neither a stuffed 0xFF, nor a restart marker, nor a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Markers without a length and without data behind them.
_ALONE = {0x01, _START, *range(0xD0, 0xD8)}
END = b"\xff\xd9"


def count_scans(data: bytes, start: int = 0) -> tuple[int, int]:
    """Count the scans of a JPEG by following its markers, up to its end.

    Args:
        data: bytes that hold the JPEG.
        start: where it begins.

    Returns:
        The number of scans, and the position behind the end-of-image marker, or -1 if there is none.
    """
    scans, place = 0, start
    while True:
        found = _MARKER.search(data, place)
        if found is None:
            return scans, -1
        kind, place = data[found.end() - 1], found.end()
        if kind == _END:
            return scans, place
        if kind in _ALONE:
            continue
        scans += kind == _SCAN
        # A length includes its own two bytes, so one below 2 is damaged: continue after it.
        place += max(int.from_bytes(data[place : place + 2], "big"), 2)
