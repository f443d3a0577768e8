import shutil
from pathlib import Path

import pytest

from cbir.workflow import code_hash

FILES = {
    "run.py": "from lib.top import work\n\nwork()\n",
    "other.py": "import lib.unrelated\n",
    "lib/__init__.py": "",
    "lib/top.py": '"""Doc."""\n\nfrom lib.sub import deep\n\nLIMIT = 3\n"""About it."""\n\n\n'
    'def work():\n    """Doc."""\n    return deep.far(LIMIT)\n',
    "lib/sub/__init__.py": "",
    "lib/sub/deep.py": "import os\n\n\ndef far(x):\n    from lib.late import late\n\n    return late(x)\n",
    "lib/late.py": "from .relative import twice\n\n\ndef late(x):\n    return twice(x)\n",
    "lib/relative.py": "def twice(x):\n    return 2 * x\n",
    "lib/unrelated.py": "def nothing():\n    return 0\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "one" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "one"


def fingerprint(root: Path, script: str = "run.py") -> str:
    # Within one process files are taken not to change.
    for cached in (code_hash.fingerprint, code_hash._tree, code_hash._imported, code_hash._files):
        cached.cache_clear()
    return code_hash.fingerprint(root / script, root)


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.py", "work()", "work()  # now"),
        ("lib/top.py", '"""Doc."""', '"""Another text."""'),
        ("lib/top.py", '    """Doc."""', '    """Another text."""'),
        ("lib/top.py", '    """Doc."""\n', ""),
        ("lib/top.py", '"""About it."""', '"""About it, at length."""'),
        ("lib/sub/deep.py", "\n\n\ndef", "\n\n# Why.\ndef"),
        ("lib/sub/deep.py", "return late(x)", "return late(\n        x\n    )"),
    ],
)
def test_what_changes_nothing_keeps_the_hash(root: Path, name: str, old: str, new: str) -> None:
    before = fingerprint(root)
    edit(root, name, old, new)
    assert fingerprint(root) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.py", "work()\n", "work(), 1\n"),
        ("lib/top.py", "LIMIT = 3", "LIMIT = 4"),
        ("lib/sub/deep.py", "late(x)", "late(-x)"),
        ("lib/sub/deep.py", "import os", "import sys"),
        ("lib/late.py", "twice(x)", "-twice(x)"),
        ("lib/relative.py", "2 * x", "3 * x"),
    ],
)
def test_a_change_in_any_module_below_changes_it(root: Path, name: str, old: str, new: str) -> None:
    before = fingerprint(root)
    edit(root, name, old, new)
    assert fingerprint(root) != before


def test_what_a_package_runs_when_it_is_imported_counts(root: Path) -> None:
    before = fingerprint(root)
    (root / "lib/sub/__init__.py").write_text("SIDE = 1\n")
    assert fingerprint(root) != before


def test_a_relative_import_of_a_module_is_followed(root: Path) -> None:
    (root / "lib/sub/deep.py").write_text("from . import near\nfrom .. import unrelated\n")
    (root / "lib/sub/near.py").write_text("A = 1\n")
    first = fingerprint(root)
    (root / "lib/sub/near.py").write_text("A = 2\n")
    second = fingerprint(root)
    edit(root, "lib/unrelated.py", "0", "1")
    assert len({first, second, fingerprint(root)}) == 3


def test_an_unrelated_module_plays_no_part(root: Path) -> None:
    before = fingerprint(root)
    edit(root, "lib/unrelated.py", "return 0", "return 1")
    (root / "lib/new.py").write_text("x = 1\n")
    assert fingerprint(root) == before
    assert fingerprint(root, "other.py") != before


def test_the_place_of_the_root_plays_no_part(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(root)
    shutil.copytree(root, tmp_path / "else" / "where")
    assert fingerprint(tmp_path / "else" / "where") == before
    monkeypatch.chdir(root)
    assert fingerprint(Path()) == before


def test_a_renamed_module_counts(root: Path) -> None:
    before = fingerprint(root)
    (root / "lib/relative.py").rename(root / "lib/renamed.py")
    edit(root, "lib/late.py", ".relative", ".renamed")
    assert fingerprint(root) != before


def test_the_scripts_of_this_project_reach_their_library() -> None:
    scripts = Path(code_hash.__file__).parents[2]
    found = {path.relative_to(scripts).as_posix() for path in code_hash._closure(scripts / "evaluate.py", scripts)}
    assert {
        "evaluate.py",
        "cbir/evaluation/metrics.py",
        "cbir/retrieval/voting.py",
        "cbir/features/store.py",
        "cbir/__init__.py",
    } <= found
    assert "cbir/encoders/inference.py" not in found
