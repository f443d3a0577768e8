"""After a run: say what came out of it, and open its report in the browser where there is one.

Takes the arguments that Snakemake was given. A dry run, or one of single targets, makes no report.
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
    # Without a display a text browser would take over the terminal.
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32"):
        webbrowser.open((results / REPORT).resolve().as_uri())


if __name__ == "__main__":
    main(sys.argv[1:])
