"""A rule's environment has exactly the packages that its script can import, in the versions of pyproject.toml."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from functools import cache
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = REPOSITORY / "scripts"
ENVIRONMENTS = sorted(path.stem for path in (REPOSITORY / "envs").glob("*.yaml"))
# Keras loads the backend of its configuration, TensorFlow.
IMPLIED = {"keras": "tensorflow"}
# Needed by options of single rows; `make extras` installs them.
OPTIONAL = {"faiss-cpu", "keras-hub", "openvino"}


def pins(requirements: list[str]) -> dict[str, str]:
    return dict(re.fullmatch(r"([a-z0-9_-]+)(?:\[[a-z,-]+\])?==(\S+)", line).groups() for line in requirements)


def project() -> dict[str, str]:
    return pins(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"])


def optional() -> dict[str, str]:
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    return {name: version for name, version in pins(groups["extras"]).items() if name in OPTIONAL}


def rules(text: str) -> dict[str, tuple[str, str]]:
    """Return the environment and the script of each rule of a rule file that has a script."""
    found = {}
    for block in re.split(r"^(?=(?:rule|checkpoint) \w+:)", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+ (\w+)", block)[1]
        environment = re.search(r'^    conda:\s*"\.\./envs/(.+)\.yaml"', block, re.MULTILINE)
        if script := re.search(r'^    script:\s*"\.\./scripts/(.+)"', block, re.MULTILINE):
            found[name] = (environment[1] if environment else "", script[1])
    return found


def named_modules(path: Path) -> list[str]:
    """Return the modules that a file imports by their names: the arguments of import_module and __import__."""
    # `files/registry.py` imports the entries of registries, whose names are found where a registry is created.
    # `debug.py` imports the scripts, whose imports are followed separately.
    if path in (SCRIPTS / "cbir/files/registry.py", SCRIPTS / "debug.py"):
        return []
    calls = called(path.read_text("utf-8"))
    names = []
    if any(name == "Registry" for name, _ in calls):
        package = ".".join(path.parent.relative_to(SCRIPTS).parts)
        names += [f"{package}.{entry.stem}" for entry in path.parent.glob("[!_]*.py")]
    for name, call in calls:
        if name in ("importlib.import_module", "import_module", "__import__"):
            assert isinstance(call.args[0], ast.Constant), f"{path}: a name that is not in the text cannot be followed"
            names.append(call.args[0].value)
    return names


@cache
def called(text: str) -> list[tuple[str, ast.Call]]:
    """Yield the calls in a Python file, each with the dotted name of the function."""
    return [(ast.unparse(node.func), node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


# Keras's other backends and the reader of Parquet, which users install if they choose them.
CHOSEN = {"jax", "pyarrow", "torch"}


def imported(script: Path, root: Path) -> set[str]:
    """Return the distributions that a script can import, itself or by modules below ``root``.

    Imports inside functions count, so does what is imported by its name. What only runs after a failure is among them.
    """
    finder = ModuleFinder(path=[str(root)])
    finder.run_script(str(script))
    followed: set[Path] = set()
    while more := {Path(module.__file__) for module in finder.modules.values() if module.__file__} - followed:
        followed |= more
        for name in (name for path in more for name in named_modules(path)):
            try:
                finder.import_hook(name)
            except ImportError:
                finder.badmodules[name] = {}
    # A constant that is imported from a package looks like a module that is not found.
    here = {path.stem for path in root.iterdir()}
    modules = {name.partition(".")[0] for name in finder.badmodules} - sys.stdlib_module_names - here
    return {canonicalize_name(distributions()[name][0]) for name in modules - CHOSEN}


@cache
def needed_by(script: str) -> set[str]:
    """Return what a script of the workflow can import."""
    return imported(SCRIPTS / script, SCRIPTS)


@cache
def distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def test_the_lock_holds_every_dependency_of_the_project_with_hashes() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9_-]+)(?:\[[a-z,]+\])?==(\S+)(?= [;\\])", text, re.MULTILINE))
    assert {name: locked.get(name) for name in project()} == project()
    assert len(re.findall(r"^    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) >= len(locked)


def environment(name: str) -> dict[str, str]:
    """Return the packages and versions that a conda environment names."""
    written = yaml.safe_load((REPOSITORY / f"envs/{name}.yaml").read_text())
    options, *packages = written["dependencies"][-1]["pip"]
    assert options == "--only-binary :all:"
    return pins(packages)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_conda_environment_has_the_versions_of_the_project(name: str) -> None:
    found = environment(name)
    versions = project() | optional()
    assert found == {package: versions[package] for package in found}
    cuda = "[and-cuda]" in (REPOSITORY / f"envs/{name}.yaml").read_text()
    assert cuda == name.endswith("gpu")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_conda_environment_has_the_packages_that_its_rules_import(name: str) -> None:
    """The environment must contain nothing else."""
    scripts = {
        script
        for path in (REPOSITORY / "rules").glob("*.smk")
        for used, script in rules(path.read_text()).values()
        if used == name
    }
    assert scripts
    needed = set().union(*(needed_by(script) for script in scripts))
    assert set(environment(name)) == needed | {IMPLIED[package] for package in needed & IMPLIED.keys()}


def test_the_project_depends_on_all_packages_that_its_scripts_import() -> None:
    needed = set().union(*(needed_by(script.name) for script in SCRIPTS.glob("*.py")))
    assert {"flask", "imagehash", "keras", "openvino"} <= needed
    assert needed - OPTIONAL <= project().keys()
    assert needed & OPTIONAL == OPTIONAL


def test_imports_are_followed_everywhere(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for name, text in {
        "job.py": "import os\nfrom package import work\n",
        "package/__init__.py": "",
        "package/work.py": "import numpy as np\ndef do():\n    import PIL.Image\n    from . import other\n",
        "package/other.py": "import importlib\ntry:\n    import h5py\nexcept ImportError:\n    pass\n"
        "def fail():\n    importlib.import_module('package.reason')\n",
        "package/reason.py": "from sklearn import svm\ndef late():\n    __import__('scipy.stats')\n",
        "package/unused.py": "import pandas\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert imported(tmp_path / "job.py", tmp_path) == {"numpy", "pillow", "h5py", "scikit-learn", "scipy"}
    (tmp_path / "package/reason.py").write_text("__import__('nump' + 'y')")
    with pytest.raises(AssertionError, match="cannot be followed"):
        imported(tmp_path / "job.py", tmp_path)


def test_every_rule_with_a_script_has_an_environment() -> None:
    found = [item for path in (REPOSITORY / "rules").glob("*.smk") for item in rules(path.read_text()).items()]
    assert len(found) > 15
    assert {used for _, (used, _) in found} == set(ENVIRONMENTS)
    text = "".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
    assert len(found) == len(re.findall(r"^    script:", text, re.MULTILINE))


def test_the_cuda_libraries_belong_to_the_tensorflow_of_the_project() -> None:
    text = (REPOSITORY / "requirements-gpu.lock").read_text()
    assert f"\ntensorflow=={project()['tensorflow']} " in text
    assert re.search(r"^nvidia-cudnn-cu12==", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_an_image_is_built_only_from_the_locks(name: str) -> None:
    recipe = (REPOSITORY / "envs" / name).read_text()
    installs = re.findall(r"pip install.*", recipe)
    assert installs
    assert all("--require-hashes --no-build-isolation -r" in line for line in installs)
    assert [
        lock for lock in re.findall(r"requirements[a-z-]*\.lock", recipe) if not (REPOSITORY / lock).is_file()
    ] == []
    # The packages that build the one without a wheel are installed first.
    assert re.search(r"LOCKS=\"?requirements-build\.lock requirements\.lock", recipe)


def test_the_base_image_is_pinned_by_its_digest() -> None:
    docker = re.search(
        r"^FROM (python):(\S+)@(sha256:[0-9a-f]{64})$", (REPOSITORY / "envs/Dockerfile").read_text(), re.M
    )
    # Apptainer refuses a tag beside a digest.
    apptainer = re.search(
        r"^From: (python)@(sha256:[0-9a-f]{64})$", (REPOSITORY / "envs/apptainer.def").read_text(), re.M
    )
    assert (docker[1], docker[3]) == apptainer.groups()
    python = yaml.safe_load((REPOSITORY / "envs/workflow.yaml").read_text())["dependencies"][0]
    assert docker[2].startswith(f"{python.removeprefix('python=')}.")
