"""Search the locked dependencies for known vulnerabilities in PyPI's database, with pip-audit.

Exit status: 0 if none is known, 1 if one is known, 2 if the database cannot be reached.
"""

import json
import subprocess
import sys
from pathlib import Path


def audit(lock: Path) -> int:
    """Print the verdict on a lock file, and return the exit status."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--requirement", str(lock)]
    done = subprocess.run(
        [*command, "--progress-spinner", "off", "--format", "json"], capture_output=True, text=True, check=False
    )
    status, sentence = verdict(lock.name, done.stdout)
    print(sentence)
    return status


def verdict(name: str, output: str) -> tuple[int, str]:
    """Return the exit status and the verdict for the output of pip-audit, JSON or nothing if it failed."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    # pip-audit skips packages for which the database does not answer, and still reports success.
    answered = [package for package in packages if "skip_reason" not in package]
    if not packages or len(answered) < len(packages):
        return 2, (
            f"{name}: PyPI's record of vulnerabilities answers for {len(answered)} of {len(packages)} packages, so "
            "nothing is certain: connect to the internet and try again."
        )
    found = [
        f"{name}: {package['name']} {package['version']} has {flaw['id']}, mended in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}."
        for package in answered
        for flaw in package["vulns"]
    ]
    return (
        (1, "\n".join(found)) if found else (0, f"{name}: none of {len(packages)} packages has a known vulnerability.")
    )


if __name__ == "__main__":
    sys.exit(max(audit(Path(lock)) for lock in sys.argv[1:]))
