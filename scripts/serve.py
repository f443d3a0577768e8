"""Serve the search page for the results of a run: `cbir serve` with the arguments of the run."""

import argparse
import sys
from pathlib import Path

import arguments as snakemake_arguments
from cbir.command import add_serve_arguments
from cbir.files import logs
from cbir.files.errors import InputError
from cbir.web.serving import serve


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Serve the search page on the results of a run.",
        epilog="The arguments that the run had, such as --directory, are understood, too.",
        allow_abbrev=False,
    )
    parser.add_argument("--results", type=Path, help="the run's results (default: results, below --directory)")
    add_serve_arguments(parser)
    options, run = parser.parse_known_args()
    if options.results is None:
        options.results = snakemake_arguments.results(run)
    elif not run and (folder := options.results.parent) != Path():
        run = ["--directory", str(folder)]
    logs.to_console()
    try:
        serve(options.results, options.feedback, options.host, options.port, snakemake_arguments.make("run", run))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
