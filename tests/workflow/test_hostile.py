"""The whole workflow on a folder with hostile files: it uses the images and lists the rest."""

import os
import socket
import struct
import zlib
from pathlib import Path

import pandas as pd

from cbir.files.printable import printable
from workplace import CONFIG, Workplace, make, photograph

# Categories with hostile names, three images each.
CATEGORIES = [
    "<img src=x onerror=alert(1)>",
    "$\\frac{$",
    'a,b"c',
    "new\nline",
    "\u202egnp.exe",
    "{wildcard}",
    "%(message)s",
    "-rf",
    " spaced ",
    "nan",
    "category",
    "007",
    "results",
    "e\u0301",
    "\u00e9",
    "\x1b[31mred",
    "\x01",
    "=1+1",
    "l" * 255,
]
EVIL = "</script><script>alert(2)</script>"


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG with these chunks."""
    packed = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def fill(folder: Path) -> dict[str, str]:
    """Add hostile files to the collection; return those to be rejected, with a part of the reason."""
    for label, category in enumerate(CATEGORIES):
        (folder / category).mkdir()
        for number in range(3):
            photograph(label % 3, 100 + 3 * label + number).save(folder / category / f"{number}\n<script>.png")
    sea = folder / "sea"
    os.mkfifo(sea / "pipe.png")
    os.symlink("loop.png", sea / "loop.png")
    os.symlink("/proc/self/mem", sea / "memory.png")
    os.symlink("/dev/zero", sea / "zero.png")
    os.symlink("/etc/passwd", sea / "passwd.png")
    os.symlink("..", sea / "up")
    with socket.socket(socket.AF_UNIX) as server:
        # The path of a socket is limited in length.
        here = os.open(sea, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket.png")
        os.close(here)
    with (sea / "vast.png").open("wb") as file:
        file.truncate(10**12)
    Path(os.fsdecode(os.fsencode(sea) + b"/\xff.png")).write_bytes((sea / "0.png").read_bytes())
    (sea / "giant.png").write_bytes(png(header(2**31 - 1, 2**31 - 1), (b"IDAT", b""), (b"IEND", b"")))
    bomb = (b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8), 9))
    pixels = (b"IDAT", zlib.compress(bytes(25 * 8)))
    (sea / "bomb.png").write_bytes(png(header(8, 8), bomb, pixels, (b"IEND", b"")))
    (sea / "page.jpg").write_text(f"<svg onload=alert(3)>{EVIL}")
    (sea / "code.gif").write_bytes(b"%!PS\n(made) (w) file")
    (sea / "half.png").write_bytes((sea / "0.png").read_bytes()[:900])
    deep = sea / "/".join("d" * 101)
    deep.mkdir(parents=True)
    photograph(0, 99).save(deep / "unseen.png")
    return {
        "pipe.png": "not a regular file",
        "loop.png": "does not exist",
        "memory.png": "empty file",
        "zero.png": "not a regular file",
        "passwd.png": "not an image",
        "socket.png": "not a regular file",
        "vast.png": "1,000,000,000,000 bytes",
        "\\udcff.png": "not UTF-8",
        "giant.png": "more than the 100,000,000",
        "bomb.png": "Decompressed data too large",
        "page.jpg": "not an image",
        "code.gif": "not an image",
        "half.png": "truncated",
        "/".join("d" * 100): "not a regular file",
    }


def test_a_hostile_collection(tmp_path: Path) -> None:
    place: Workplace = make(tmp_path)
    expected = fill(place.folder / "collection")
    place.configure(CONFIG | {"report": {"title": EVIL}})
    before = set(tmp_path.rglob("*"))
    run = place.run()
    assert run.status == 0, run.output
    assert "Traceback" not in run.output
    # No name reaches the terminal as a control sequence.
    assert "\x1b[31m" not in run.output and "\u202e" not in run.output

    results = place.folder / "results"
    rejected = pd.read_csv(results / "collection/rejected.csv", keep_default_na=False)
    reasons = {
        os.path.relpath(path, "collection/sea"): reason
        for path, reason in zip(rejected["path"], rejected["reason"], strict=True)
    }
    assert reasons.keys() == expected.keys()
    assert {name: reason for name, reason in reasons.items() if expected[name] not in reason} == {}
    images = pd.read_csv(results / "collection/images.csv", keep_default_na=False, dtype={"category": str})
    assert set(images["category"]) == {"apple", "leaf", "sea", *CATEGORIES}
    assert len(images) == 18 + 3 * len(CATEGORIES)

    page = (results / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page and "\u202e" not in page and "\x1b" not in page
    assert page.count("<script") == 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert printable("\u202egnp.exe") in page
    # No file was written elsewhere.
    made = {path for path in set(tmp_path.rglob("*")) - before if not path.is_relative_to(place.folder / "results")}
    assert {path.relative_to(tmp_path).parts[:2] for path in made if "__pycache__" not in path.parts} <= {
        ("work", ".snakemake"),
        ("checkout", ".snakemake"),
    }
