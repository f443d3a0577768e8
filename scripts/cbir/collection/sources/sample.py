"""The sample collection: photographs from Debian's package ``gcompris-qt-data``.

``sample.csv`` beside this module lists each photograph: category and name, path in the package, SHA-256, author,
licence, source, and the changes, which some licences require to be stated. These are transcribed from the READMEs in
version 3.1 of the package; later versions contain the same photographs without the READMEs. Therefore only photographs
with the listed SHA-256 are used, and the sample is the same from every version.
"""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cbir.collection.rcc import read_resources
from cbir.collection.sources import INSTEAD
from cbir.files import atomic, tables
from cbir.files.errors import InputError
from cbir.files.progress import Progress

log = logging.getLogger("cbir")

DESCRIPTION = "The sample: photographs out of Debian's package gcompris-qt-data."
SETTINGS = ()

PACKAGE = "gcompris-qt-data"
"""The Debian package that holds the photographs."""
TABLE = Path(__file__).with_suffix(".csv")
"""The photographs of the sample."""
MIN_PER_CATEGORY = 12
"""A category with fewer photographs is too small to be split and evaluated."""

_COLUMNS = ["file", "archive", "resource", "sha256", "author", "licence", "source", "changes"]
_ARCHIVES = "usr/share/gcompris-qt/rcc"

# The machine's settings apply (proxy, sources), except its hooks, which would clean or refresh the system's caches.
_APT_CONFIG = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"""


def fetch(folder: Path, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Download the package with apt and write its photographs as ``<folder>/<category>/<name>.webp``.

    This needs no root and does not change the system's package lists and caches.

    Args:
        folder: where the folders of the categories go.
        settings: empty.

    Returns:
        A row for each photograph, as `unpack` returns it.

    Raises:
        InputError: when the machine has no apt, the package cannot be downloaded, or it holds too few of the
            photographs.
    """
    with tempfile.TemporaryDirectory(prefix="cbir-sample-") as temporary:
        return unpack(download(Path(temporary)), folder)


def download(folder: Path) -> Path:
    """Download the package into ``folder`` with apt, which checks its signature, and return the ``.deb``.

    Raises:
        InputError: when the machine has no apt or the package cannot be downloaded.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise InputError(
                f"The sample's photographs come in Debian's package {PACKAGE} and this machine has no {tool}: "
                f"{INSTEAD}."
            )
    folder = folder.resolve()
    config, lists, cache = folder / "apt.conf", folder / "lists", folder / "cache"
    tables.write_text(config, _APT_CONFIG)
    lists.mkdir()
    cache.mkdir()
    options = ["-c", str(config), "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
    log.info("Asking apt for the package %s, about 45 MB", PACKAGE)
    # `update` also fails if a source that is not needed here is broken, so only the result of `download` counts.
    _, complaints = _apt([*options, "update"], folder, "per cent of the package lists downloaded")
    succeeded, more = _apt([*options, "download", PACKAGE], folder, f"per cent of {PACKAGE} downloaded")
    if not succeeded:
        complaints += more or ["apt-get gave no reason"]
        reasons = dict.fromkeys([complaints[0], complaints[-1]])
        raise InputError(
            f"Debian's package {PACKAGE} cannot be downloaded ({'; '.join(reasons)}): check the connection, "
            f"or {INSTEAD}."
        )
    return next(folder.glob("*.deb"))


def unpack(package: str | Path, folder: str | Path) -> pd.DataFrame:
    """Write the photographs of a downloaded package as ``<folder>/<category>/<name>.webp``.

    Args:
        package: the ``.deb`` of any version of the package.
        folder: where the folders of the categories go.

    Returns:
        A row for each photograph, sorted by ``file`` (category/name.webp): its ``author``, ``licence``, ``source``
        (where the original is published), ``changes`` (by the authors of the package, empty if they state none) and
        ``package`` (name and version).

    Raises:
        InputError: when the file is not a Debian package or has too few of the photographs.
    """
    version = _dpkg_deb("--show", "--showformat=${Package} ${Version}", str(package))
    with tempfile.TemporaryDirectory(prefix="cbir-sample-") as temporary:
        _dpkg_deb("--extract", str(package), temporary)
        table = extract(Path(temporary) / _ARCHIVES, tables.read_csv(TABLE, _COLUMNS), folder)
    return table.drop(columns=["archive", "resource", "sha256"]).assign(package=version)


def extract(archives: Path, table: pd.DataFrame, folder: str | Path) -> pd.DataFrame:
    """Write those photographs of ``table`` that are in Qt resource files with the listed SHA-256.

    Args:
        archives: the folder of the ``.rcc`` files.
        table: ``file``, ``archive``, ``resource`` (path inside the archive) and ``sha256``; further columns are kept.
        folder: where the folders of the categories go.

    Returns:
        The rows of ``table`` that were found, in its order.

    Raises:
        InputError: when an archive is damaged, a category has fewer than `MIN_PER_CATEGORY` such photographs, or the
            folder cannot be written; in the first two cases nothing is written.
    """
    pictures: dict[str, bytes] = {}
    for archive, rows in table.groupby("archive"):
        path = archives / str(archive)
        if path.is_file():
            wanted = dict(zip(zip(rows.resource, rows.sha256, strict=True), rows.file, strict=True))
            for resource, content in read_resources(path):
                name = wanted.get((str(resource), hashlib.sha256(content).hexdigest()))
                if name is not None:
                    pictures[name] = content
    found = table[table.file.isin(pictures)]
    counts = Counter(name.partition("/")[0] for name in found.file)
    for category in sorted({name.partition("/")[0] for name in table.file}):
        if counts[category] < MIN_PER_CATEGORY:
            raise InputError(
                f"This version of Debian's package {PACKAGE} holds {counts[category]} of the sample's {category} "
                f"and {MIN_PER_CATEGORY} are needed: use a newer Debian or Ubuntu, or {INSTEAD}."
            )
    if len(found) < len(table):
        absent = ", ".join(table.file[~table.file.isin(pictures)])
        log.warning("The sample lacks %d photographs in this version: %s", len(table) - len(found), absent)
    for name in found.file:
        with atomic.atomic(Path(folder) / name) as temporary:
            temporary.write_bytes(pictures[name])
    return found.reset_index(drop=True)


def _apt(arguments: list[str], folder: Path, what: str) -> tuple[bool, list[str]]:
    """Run apt-get in ``folder`` and log its progress; return whether it succeeded, and its error messages."""
    progress = Progress(what, 100)
    complaints = []
    with subprocess.Popen(
        ["apt-get", "-qq", "-o", "APT::Status-Fd=1", *arguments],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            # "dlstatus:1:42.5:Retrieving file 1 of 1 (3s remaining)"
            if match := re.match(r"dlstatus:[^:]*:(\d+)", line):
                step = int(match[1]) - progress.done
                if step > 0:
                    progress.advance(step)
            elif line.startswith(("E: ", "W: Failed to fetch")):
                complaints.append(line[3:].strip())
    return process.returncode == 0, complaints


def _dpkg_deb(*arguments: str) -> str:
    try:
        result = subprocess.run(["dpkg-deb", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise InputError(f"This machine has no dpkg-deb to open Debian's package {PACKAGE}: {INSTEAD}.") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"Debian's package {PACKAGE} cannot be opened ({reason}): download it again.") from error
    return result.stdout
