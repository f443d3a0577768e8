"""Start the search page for a run's results."""

import sys
import threading
from pathlib import Path

from cbir.web.app import create_app
from cbir.web.library import Library
from cbir.web.server import Server


def serve(results: Path, feedback: Path | None, host: str, port: int, run: str) -> None:
    """Print the address of the search page, and serve it until the process is interrupted.

    Args:
        results: the folder of the results.
        feedback: the folder in which refinements are saved; None takes the run's ``feedback.folder``.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        run: the command that runs the workflow on these results, which pages mention.

    Raises:
        InputError: when the results cannot be used, or the server cannot listen on the address.
    """
    library = Library(results)
    feedback = feedback or results.parent / library.folder
    server = Server(create_app(library, feedback, run), host, port)
    # Loads scikit-learn in the background, which takes a second, so that the first linear round need not wait for it.
    threading.Thread(target=lambda: __import__("sklearn.svm"), daemon=True).start()
    print(f"The search page is at {server.address}  Refinements go to {feedback}. Ctrl-C ends it.", flush=True)
    if server.public:
        print(
            f"Warning: other machines can reach the search page ({host}), unencrypted. Whoever has the address "
            "with its key, or can read the network's traffic, can use it as you can. To keep it to yourself, omit "
            "--host and connect to this machine through an SSH tunnel: ssh -L 8000:127.0.0.1:8000 THIS_MACHINE.",
            file=sys.stderr,
            flush=True,
        )
    server.run()
