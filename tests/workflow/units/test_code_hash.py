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


def fingerprint(root: Path, script: str = "run.py", entries: tuple[str, ...] = ()) -> str:
    clear_caches()
    return code_hash.fingerprint(root / script, root, tuple(root / name for name in entries))


def clear_caches() -> None:
    """Clear the caches, because within a process files are assumed not to change."""
    for cached in (code_hash.fingerprint, code_hash._tree, code_hash._imported, code_hash._files):
        cached.cache_clear()


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_hash_is_the_same_on_every_python_version(root: Path) -> None:
    """Python 3.12 adds `type_params`, 3.13 omits empty lists, 3.12.1 adds empty texts to f-strings."""
    clear_caches()
    (root / "run.py").write_text("class Late:\n    pass\n\n\nprint(f'{x:>{y}}', [], None)\n")
    text, _ = code_hash._tree(root / "run.py")
    name = "Name(id='{}', ctx=Load())".format
    nested = f"JoinedStr(values=[Constant(value='>'), FormattedValue(value={name('y')}, conversion=-1)])"
    shown = f"JoinedStr(values=[FormattedValue(value={name('x')}, conversion=-1, format_spec={nested})])"
    call = f"Call(func={name('print')}, args=[{shown}, List(ctx=Load()), Constant()])"
    assert text == f"Module(body=[ClassDef(name='Late', body=[Pass()]), Expr(value={call})])"


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
def test_comments_docstrings_and_layout_keep_the_hash(root: Path, name: str, old: str, new: str) -> None:
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
def test_a_change_in_any_imported_module_changes_the_hash(root: Path, name: str, old: str, new: str) -> None:
    before = fingerprint(root)
    edit(root, name, old, new)
    assert fingerprint(root) != before


def test_the_init_modules_of_packages_are_covered(root: Path) -> None:
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


def test_an_unrelated_module_is_not_covered(root: Path) -> None:
    before = fingerprint(root)
    edit(root, "lib/unrelated.py", "return 0", "return 1")
    (root / "lib/new.py").write_text("x = 1\n")
    assert fingerprint(root) == before
    assert fingerprint(root, "other.py") != before


def test_the_hash_does_not_depend_on_the_path_of_the_root(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(root)
    shutil.copytree(root, tmp_path / "else" / "where")
    assert fingerprint(tmp_path / "else" / "where") == before
    monkeypatch.chdir(root)
    assert fingerprint(Path()) == before


def test_a_renamed_module_changes_the_hash(root: Path) -> None:
    before = fingerprint(root)
    (root / "lib/relative.py").rename(root / "lib/renamed.py")
    edit(root, "lib/late.py", ".relative", ".renamed")
    assert fingerprint(root) != before


def test_modules_that_are_not_covered_and_their_imports_are_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_hash, "NOT_COVERED", frozenset({"lib/late.py"}))
    before = fingerprint(root)
    edit(root, "lib/late.py", "twice(x)", "-twice(x)")
    edit(root, "lib/relative.py", "2 * x", "3 * x")
    assert fingerprint(root) == before
    # Named as an entry, the module and its imports are covered.
    named = fingerprint(root, entries=("lib/late.py",))
    edit(root, "lib/relative.py", "3 * x", "4 * x")
    assert len({before, named, fingerprint(root, entries=("lib/late.py",))}) == 3


SCRIPTS = Path(code_hash.__file__).parents[2]
RULES = sorted(
    path.stem for path in SCRIPTS.glob("*.py") if "\nfrom cbir.workflow.job import run\n" in path.read_text()
)
# Rules that take long, or whose results all others depend on.
COSTLY = {"collect", "split", "encoder", "train", "encode", "assemble", "fit", "derive", "index", "evaluate"}
COSTLY |= {"simulate"}


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Return a copy of the project's own scripts and library."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "scripts"


def changed_rules(scripts: Path, *names: str) -> set[str]:
    """Return the rules whose hash changes if these modules of the library change."""
    clear_caches()
    before = {rule: code_hash.fingerprint(scripts / f"{rule}.py", scripts) for rule in RULES}
    for name in names:
        path = scripts / "cbir" / name
        path.write_text(path.read_text() + "\n\ndef added() -> int:\n    return 1\n")
    clear_caches()
    return {rule for rule in RULES if code_hash.fingerprint(scripts / f"{rule}.py", scripts) != before[rule]}


def test_every_rule_is_known() -> None:
    assert set(RULES) > COSTLY
    assert len(RULES) >= 24


@pytest.mark.parametrize("name", sorted(code_hash.NOT_COVERED))
def test_modules_that_cannot_change_an_output_rerun_nothing(scripts: Path, name: str) -> None:
    assert changed_rules(scripts, name.removeprefix("cbir/")) == set()


def test_error_messages_are_covered_if_a_table_contains_them() -> None:
    assert 'code("collect.py", entries=[("files", "errors"), *' in (SCRIPTS.parent / "rules/collection.smk").read_text()


def test_modules_that_draw_rerun_no_computation(scripts: Path) -> None:
    pictures = {"plot_training", "plot_evaluation", "plot_simulation", "query", "refine", "compare_methods"}
    drawing = ("report/plots.py", "report/training_curve.py", "report/refinement_pictures.py")
    changed = changed_rules(scripts, *drawing)
    assert pictures <= changed
    assert not COSTLY & changed


def test_the_report_reruns_only_the_report(scripts: Path) -> None:
    names = [f"report/{name}.py" for name in ("build", "results", "rendering", "filters", "pictures")]
    assert changed_rules(scripts, *names) == {"report"}


def test_the_search_page_and_the_artifacts_rerun_nothing(scripts: Path) -> None:
    for package in ("web", "artifacts"):
        names = [path.relative_to(scripts / "cbir").as_posix() for path in (scripts / "cbir" / package).rglob("*.py")]
        assert len(names) > 5
        assert changed_rules(scripts, *names) == set()


def test_the_evaluation_reruns_only_rules_that_evaluate(scripts: Path) -> None:
    assert changed_rules(scripts, "evaluation/evaluate.py") == {"evaluate"}


def test_an_entry_of_a_registry_is_covered_only_if_it_is_named(scripts: Path) -> None:
    for kind in ("evaluation/metrics", "training/losses", "report/sections", "collection/sources"):
        entries = [path for path in (scripts / "cbir" / kind).glob("*.py") if not path.stem.startswith("_")]
        assert entries
        assert changed_rules(scripts, *(path.relative_to(scripts / "cbir").as_posix() for path in entries)) == set()
    named = ("cbir/evaluation/metrics/anmrr.py",)
    before = fingerprint(scripts, "evaluate.py", named)
    edit(scripts, "cbir/evaluation/metrics/map.py", "def ", "def added() -> int:\n    return 1\n\n\ndef ")
    assert fingerprint(scripts, "evaluate.py", named) == before
    edit(scripts, named[0], "def ", "def added() -> int:\n    return 1\n\n\ndef ")
    assert fingerprint(scripts, "evaluate.py", named) != before


def test_the_inputs_of_metrics_rerun_no_encoding_or_indexing(scripts: Path) -> None:
    changed = changed_rules(scripts, "evaluation/relevance.py")
    assert {"evaluate"} <= changed
    assert not changed & {"encode", "encoder", "assemble", "index", "fit", "derive", "suspects"}


def test_the_code_of_collection_and_splits_reruns_no_training_by_itself(scripts: Path) -> None:
    # A training depends on the tables of the splits instead.
    names = (
        "collection/manifest.py",
        "collection/splits.py",
        "collection/near_duplicates.py",
        "collection/contents.py",
    )
    assert not changed_rules(scripts, *names) & {"train", "encode", "assemble", "index", "evaluate", "simulate"}


def test_the_encoding_reruns_rules_that_read_shards(scripts: Path) -> None:
    assert changed_rules(scripts, "encoders/inference.py") == {"encode"}


def test_the_training_reruns_only_the_training(scripts: Path) -> None:
    assert changed_rules(scripts, "training/train.py") == {"train"}
