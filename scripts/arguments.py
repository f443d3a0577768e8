"""Parse the arguments of Snakemake, which all targets of the Makefile accept.

As a command it prints the folder of the results of a run with these arguments.
"""

import argparse
import shlex
import sys
from pathlib import Path

from snakemake.cli import get_argument_parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse Snakemake's arguments, including those of a ``--profile``; an invalid one ends the process."""
    found = get_argument_parser().parse_args(arguments)
    return get_argument_parser(profiles=found.profile).parse_args(arguments) if found.profile else found


def results(arguments: list[str]) -> Path:
    """Return the folder of the results of a run with these arguments, relative to the working folder."""
    return (parse(arguments).directory or Path()) / "results"


def make(target: str, arguments: list[str]) -> str:
    """Return the ``make`` command of a target for the run with these arguments.

    It keeps the arguments that identify the run: profiles, configuration and folder.
    """
    found = parse(arguments)
    kept = [
        *(["--profile", *found.profile] if found.profile else []),
        *(["--configfile", *map(str, found.configfile)] if found.configfile else []),
        *(["--config", *found.config] if found.config else []),
        *(["--directory", str(found.directory)] if found.directory else []),
    ]
    return f"make {target} {quoted(kept)}" if kept else f"make {target}"


def quoted(arguments: list[str]) -> str:
    """Return ``ARGS=...`` for a make command, quoted for a shell."""
    text = shlex.join(arguments)
    # Double quotes are the most readable, but do not protect these characters.
    return shlex.quote(f"ARGS={text}") if set('"$`\\!') & set(text) else f'ARGS="{text}"'


if __name__ == "__main__":
    print(results(sys.argv[1:]))
