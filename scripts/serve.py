"""Serve the search page: search the results of a run, judge images, save refinements. `--help` tells the options."""

import argparse
import logging
import sys
import threading
from pathlib import Path

import arguments as snakemake_arguments
from cbir.files import logs
from cbir.files.errors import InputError
from cbir.files.tables import read_json
from cbir.web.app import create_app
from cbir.web.library import Library
from cbir.web.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Serve the search page on the results of a run.",
        epilog="The arguments that the run had, such as --directory, are understood, too.",
        allow_abbrev=False,
    )
    parser.add_argument("--results", type=Path, help="the run's results (default: results, below --directory)")
    parser.add_argument(
        "--feedback", type=Path, help="where refinements are saved (default: the run's feedback.folder)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0 takes all)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="the port to listen on (default: 8000; 0 takes a free one)"
    )
    arguments, run = parser.parse_known_args()
    if arguments.results is None:
        arguments.results = snakemake_arguments.results(run)
    elif not run and (folder := arguments.results.parent) != Path():
        run = ["--directory", str(folder)]
    arguments.run = snakemake_arguments.make("run", run)
    logging.basicConfig(level=logging.INFO, handlers=[logs.handler()])
    try:
        serve(arguments)
    except InputError as error:
        sys.exit(str(error))


def serve(arguments: argparse.Namespace) -> None:
    library = Library(arguments.results)
    feedback = arguments.feedback or arguments.results.parent / _configured(arguments.results, library.source)
    server = Server(create_app(library, feedback, arguments.run), arguments.host, arguments.port)
    # scikit-learn takes a second to load; the first round of the linear strategy need not wait for it.
    threading.Thread(target=lambda: __import__("sklearn.svm"), daemon=True).start()
    print(f"The search page is at {server.address}  Refinements go to {feedback}. Ctrl-C ends it.", flush=True)
    if server.public:
        print(
            f"Warning: other machines can reach the search page ({arguments.host}), unencrypted. Whoever has the "
            "address with its key, or can read the network's traffic, looks and saves as you. To keep it to yourself, "
            "leave --host out and reach this machine through an SSH tunnel: ssh -L 8000:127.0.0.1:8000 THIS_MACHINE.",
            file=sys.stderr,
            flush=True,
        )
    server.run()


def _configured(results: Path, source: str) -> Path:
    """Return the folder that the run reads refinements from; before its first report, the default."""
    path = results / "configuration.json"
    folder = read_json(path)["feedback"].get("folder") if path.exists() else None
    return Path((folder or "feedback/{source}").replace("{source}", source))


if __name__ == "__main__":
    main()
