"""Print the summary of a run, and open its report in a browser.

The arguments are those of Snakemake. After a dry run, or a run of single targets, there is no report.
"""

import os
import sys
import webbrowser

import arguments
from cbir.evaluation import cut
from cbir.report import summary
from cbir.results import REPORT


def main(given: list[str]) -> None:
    asked = arguments.parse(given)
    if asked.dryrun or asked.targets:
        return
    results = arguments.results(given)
    print(summary.outcome(results, arguments.make("serve", given), cut.as_text))
    # Without a display `webbrowser` may start a text browser, which blocks the terminal.
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32"):
        webbrowser.open((results / REPORT).resolve().as_uri())


if __name__ == "__main__":
    main(sys.argv[1:])
