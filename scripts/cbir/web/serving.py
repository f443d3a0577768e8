"""Serve the search page on a run's results."""

import sys
import threading
from pathlib import Path

from cbir.web.app import create_app
from cbir.web.library import Library
from cbir.web.server import Server


def serve(results: Path, feedback: Path | None, host: str, port: int, run: str) -> None:
    """Serve it until the process is interrupted; print its address.

    Args:
        results: the folder of the results.
        feedback: where refinements are saved; None takes the run's ``feedback.folder``.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        run: the command that runs the workflow on these results, as the search page names it.

    Raises:
        InputError: when the results cannot be used, or the address cannot be had.
    """
    library = Library(results)
    feedback = feedback or results.parent / library.folder
    server = Server(create_app(library, feedback, run), host, port)
    # scikit-learn takes a second to load; the first round of the linear strategy need not wait for it.
    threading.Thread(target=lambda: __import__("sklearn.svm"), daemon=True).start()
    print(f"The search page is at {server.address}  Refinements go to {feedback}. Ctrl-C ends it.", flush=True)
    if server.public:
        print(
            f"Warning: other machines can reach the search page ({host}), unencrypted. Whoever has the address "
            "with its key, or can read the network's traffic, looks and saves as you. To keep it to yourself, leave "
            "--host out and reach this machine through an SSH tunnel: ssh -L 8000:127.0.0.1:8000 THIS_MACHINE.",
            file=sys.stderr,
            flush=True,
        )
    server.run()
