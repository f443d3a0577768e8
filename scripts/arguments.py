"""Read the arguments that a person gives to Snakemake; all targets of the Makefile take the same ones.

As a command it prints the folder that holds the results of the run with these arguments.
"""

import argparse
import shlex
import sys
from pathlib import Path

from snakemake.cli import get_argument_parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read Snakemake's arguments, those in a ``--profile`` included; a wrong one ends the process with a sentence."""
    found = get_argument_parser().parse_args(arguments)
    return get_argument_parser(profiles=found.profile).parse_args(arguments) if found.profile else found


def results(arguments: list[str]) -> Path:
    """Return the folder of the results of a run with these arguments."""
    return (parse(arguments).directory or Path()) / "results"


def make(target: str, arguments: list[str]) -> str:
    """Return the command that makes a target of the Makefile on the run with these arguments.

    Only those are kept that say what is run and where: profiles, configuration and folder.
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
    """Return arguments as ``ARGS`` of a make command, quoted for a shell."""
    text = shlex.join(arguments)
    # In double quotes most are easiest to read.
    return shlex.quote(f"ARGS={text}") if set('"$`\\!') & set(text) else f'ARGS="{text}"'


if __name__ == "__main__":
    print(results(sys.argv[1:]))
