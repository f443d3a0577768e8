"""Serve the page: search the results of a run, judge images, save refinements. `--help` tells the options."""

import argparse
import logging
import sys
import threading
from pathlib import Path

import waitress

from cbir import logs
from cbir.errors import InputError
from cbir.web import guard
from cbir.web.app import create_app
from cbir.web.library import Library

# Above what the page itself refuses with a sentence; from here on the connection is cut.
_LARGEST_REQUEST = 200_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the page on the results of a run.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the run's results (default: results)")
    parser.add_argument(
        "--feedback", type=Path, help="where refinements are saved (default: feedback/SOURCE beside the results)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1, this machine alone)"
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="the port to listen on (default: 8000; 0 takes a free one)"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, handlers=[logs.handler()])
    try:
        serve(arguments)
    except InputError as error:
        sys.exit(str(error))


def serve(arguments: argparse.Namespace) -> None:
    library = Library(arguments.results)
    feedback = arguments.feedback or arguments.results.parent / "feedback" / library.source
    if not 0 <= arguments.port <= 65535:
        # The system would take it modulo 65536.
        raise InputError(f"The port {arguments.port} does not exist: choose one from 1 to 65535 by --port.")
    app = create_app(library, feedback, guard.own_names(arguments.host))
    try:
        server = waitress.create_server(
            app, host=arguments.host, port=arguments.port, threads=8, max_request_body_size=_LARGEST_REQUEST, ident=None
        )
    except (OSError, OverflowError, ValueError) as error:
        raise InputError(
            f"The page cannot listen on {arguments.host}, port {arguments.port} ({error}): "
            "choose another by --host or --port."
        ) from None
    # scikit-learn takes a second to load; the first round of the linear strategy need not wait for it.
    threading.Thread(target=lambda: __import__("sklearn.svm"), daemon=True).start()
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    print(
        f"The page is at http://{host}:{server.effective_port}/  Refinements go to {feedback}. Ctrl-C ends it.",
        flush=True,
    )
    server.run()


if __name__ == "__main__":
    main()
