"""The command `cbir`: search, serve, inspect, encode and export with the results of a run.

Exit status: 0, or 1 with an error message of one sentence, or 2 for invalid arguments.
"""

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from cbir.files import logs
from cbir.files.errors import InputError, printable

RESULTS = Path("results")


def main(arguments: list[str] | None = None) -> int:
    """Run the command, and return its exit status.

    Args:
        arguments: the arguments; None for those of the command line.
    """
    options = _parser().parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Not for the server, whose threads log, and which imports TensorFlow only for uploaded images.
    with logs.without_compiled_code() if options.command in ("search", "encode") else nullcontext():
        logs.to_console("%(message)s")
        try:
            return int(options.do(options) or 0)
        except InputError as error:
            print(f"cbir {options.command}: {error}", file=sys.stderr)
            return 1


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cbir serve` except ``--results``, which `make serve` has, too."""
    parser.add_argument(
        "--feedback", type=Path, help="the folder of saved refinements (default: the run's feedback.folder)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0 for all interfaces)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="the port to listen on (default: 8000; 0 for any free port)"
    )


def _serve(options: argparse.Namespace) -> None:
    # Imported in the functions of this module, so that each command imports only what it needs.
    from cbir.web.serving import serve

    folder = options.results.parent
    run = "make run" if folder == Path() else f"make run {shlex.quote(shlex.join(['ARGS=--directory', str(folder)]))}"
    serve(options.results, options.feedback, options.host, options.port, run)


def _inspect(options: argparse.Namespace) -> int:
    from cbir.artifacts.__main__ import main as inspect

    return inspect(["--", *map(str, options.path or [RESULTS])])


def _search(options: argparse.Namespace) -> None:
    from cbir.api import Results
    from cbir.evaluation.calibration import NOTHING

    results = Results(options.results)
    print(_table(results.search(options.image, options.method, options.k, text=options.text)))
    novelty = None if options.image is None else results.novelty(options.image, options.method)
    if novelty is not None and novelty.is_new:
        print(
            f"{NOTHING.capitalize()}: the mean distance to the nearest images is {novelty.score:.4f}, above the "
            f"threshold {novelty.threshold:.4f}."
        )


def _table(found: pd.DataFrame) -> str:
    """Return the results of a search as a text table, without columns that are empty."""
    from cbir.evaluation.calibration import shown

    columns: list[tuple[str, list[str]]] = [
        ("rank", [f"{rank:>4}" for rank in found["rank"]]),
        ("distance", [f"{distance:>8.4f}" for distance in found["distance"]]),
        ("probability", [f"{shown(probability):>11}" for probability in found["probability"]]),
        ("category", [printable(name) for name in found["category"]]),
    ]
    columns = [column for column in columns if any(cell.strip() for cell in column[1])]
    widths = [max(map(len, [name, *cells])) for name, cells in columns]
    lines = []
    for place, image_id in enumerate(["image_id", *map(printable, found["image_id"])]):
        cells = [[name, *cells][place].ljust(width) for (name, cells), width in zip(columns, widths, strict=True)]
        lines.append("  ".join([*cells, image_id]))
    return "\n".join(lines)


def _encode(options: argparse.Namespace) -> None:
    from cbir.api import Results

    results = Results(options.results)
    count = results.encode(options.path, options.encoder, options.output)
    print(printable(f"{options.output}: the features of {count:,} images by the encoder {options.encoder}"))


def _export(options: argparse.Namespace) -> None:
    from cbir.api import Results

    splits = [options.split] if options.split else ["train", "val", "test"]
    count = Results(options.results).export(options.method, options.output, splits)
    print(printable(f"{options.output}: the vectors of {count:,} images by the method {options.method}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cbir",
        description="Search, serve, inspect, encode and export with the results of a run.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str, results: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
        if results:
            added.add_argument(
                "--results", type=Path, default=RESULTS, help="the folder of the run's results (default: results)"
            )
        return added

    search = add("search", "print the images of the gallery that are nearest to an image or a text")
    query = search.add_mutually_exclusive_group(required=True)
    query.add_argument("image", metavar="IMAGE", nargs="?", help="an image_id of the collection, or an image file")
    query.add_argument("--text", help="words to look for, if the method's encoder takes texts, as CLIP and SigLIP do")
    search.add_argument("--method", required=True, help="the method whose features are compared, such as pretrained")
    search.add_argument("-k", type=int, default=5, help="number of results (default: 5)")
    search.set_defaults(do=_search)

    served = add("serve", "serve the search page: search, judge results, save refinements")
    add_serve_arguments(served)
    served.set_defaults(do=_serve)

    inspected = add("inspect", "describe files of the results, and check that they belong together", False)
    inspected.add_argument("path", metavar="PATH", nargs="*", help="a file or folder of the results (default: results)")
    inspected.set_defaults(do=_inspect)

    encoded = add("encode", "write the features of images to an HDF5 file")
    encoded.add_argument("path", metavar="PATH", nargs="+", help="an image file, or a folder of images")
    encoded.add_argument("--encoder", required=True, help="an encoder of the run, such as pretrained")
    encoded.add_argument("--output", required=True, metavar="FILE", help="the HDF5 file to write")
    encoded.set_defaults(do=_encode)

    exported = add("export", "write the feature vectors of a method to a Parquet file, for another search engine")
    exported.add_argument("--method", required=True, help="the method whose vectors are written, such as pretrained")
    exported.add_argument("--output", required=True, metavar="FILE", help="the Parquet file to write")
    exported.add_argument(
        "--split", choices=["train", "val", "test"], help="write this split alone (default: all splits)"
    )
    exported.set_defaults(do=_export)
    return parser


if __name__ == "__main__":
    sys.exit(main())
