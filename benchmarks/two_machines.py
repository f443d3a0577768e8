"""Check that the sample's results are the same under conditions that differ as between two machines.

    python benchmarks/two_machines.py [--configfile FILE]

The workflow runs twice on the sample's photographs: once on one core, in C.UTF-8 and UTC, with the files as the package
has them; once in another folder, on all cores, with another locale, time zone and hash seed, and with files written in
the opposite order. Everything below results/ except times is compared bit for bit. Both runs' folders are removed at
the end.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from faults import contents
from workplace import REPOSITORY, Workplace

COLLECTION = {"source": "folder", "path": "photographs"}


def run(folder: Path, cores: int, configfile: str | None, **environment: str) -> None:
    """Run the workflow in ``folder`` on its photographs."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", str(cores)]
    command += ["--directory", str(folder), "--quiet", "rules", "--config", f"collection={json.dumps(COLLECTION)}"]
    command += ["feedback={folder: feedback/sample}"]
    command += ["--configfile", str(Path(configfile).resolve())] if configfile else []
    subprocess.run(command, env=os.environ | environment, check=True)


def photographs(folder: Path) -> Path:
    """Have the workflow fetch the sample's photographs; return their folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    target = "results/sources/sample/credits.csv"
    subprocess.run([*command, "--directory", str(folder), "--quiet", "rules", "--", target], check=True)
    return folder / "results/sources/sample/images"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", help="as Snakemake's; the collection is always the sample")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory(prefix="Bücher und Bilder ") as other:
        source = photographs(Path(one) / "source")
        files = sorted(path.relative_to(source) for path in source.rglob("*.webp"))
        for folder, ordered in ((Path(one), files), (Path(other), files[::-1])):
            for number, name in enumerate(ordered):
                target = folder / "work/photographs" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, target)
                os.utime(target, (1_000_000_000 + 7 * number,) * 2)
            (folder / "work/feedback").mkdir()
            shutil.copytree(REPOSITORY / "feedback/sample", folder / "work/feedback/sample")
        run(Path(one) / "work", 1, arguments.configfile, LC_ALL="C.UTF-8", TZ="UTC", PYTHONHASHSEED="1")
        cores = len(os.sched_getaffinity(0))
        run(Path(other) / "work", cores, arguments.configfile, LC_ALL="C", TZ="Asia/Kolkata", PYTHONHASHSEED="2")
        found = [contents(Workplace(Path(folder))) for folder in (one, other)]
    first, second = found
    kinds = Counter(Path(name).suffix for name in first.keys() | second.keys())
    differing = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    print(f"1 core against {cores}\n{'kind':<8}{'files':>8}{'differ':>8}")
    for kind, count in sorted(kinds.items()):
        print(f"{kind:<8}{count:>8}{sum(name.endswith(kind) for name in differing):>8}")
    for name in differing:
        print(f"differs: {name}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
