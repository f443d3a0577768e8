"""Open a page in the browser where there is one; say where it is in any case."""

import os
import sys
import webbrowser
from pathlib import Path


def main(path: str) -> None:
    page = Path(path).resolve()
    print(f"The report is {page}")
    # Without a display a text browser would take over the terminal.
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32"):
        webbrowser.open(page.as_uri())


if __name__ == "__main__":
    main(sys.argv[1])
