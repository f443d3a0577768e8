"""The conda environments, pyproject.toml and the lock file name the same versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]


def pins(requirements: list[str]) -> dict[str, str]:
    return dict(re.fullmatch(r"([a-z0-9_-]+)(?:\[[a-z,-]+\])?==(\S+)", line).groups() for line in requirements)


def project() -> dict[str, str]:
    return pins(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"])


def test_the_lock_holds_every_dependency_of_the_project_with_hashes() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9_-]+)(?:\[[a-z,]+\])?==(\S+)(?= [;\\])", text, re.MULTILINE))
    assert {name: locked.get(name) for name in project()} == project()
    assert len(re.findall(r"^    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) >= len(locked)


@pytest.mark.parametrize("name", ["workflow", "tensorflow", "tensorflow-gpu"])
def test_a_conda_environment_has_the_versions_of_the_project(name: str) -> None:
    environment = yaml.safe_load((REPOSITORY / f"envs/{name}.yaml").read_text())
    *_, packages = environment["dependencies"]
    found = pins(packages["pip"])
    assert found == {package: project()[package] for package in found}
    assert ("tensorflow" in found) == name.startswith("tensorflow")
    assert any("[and-cuda]" in line for line in packages["pip"]) == name.endswith("gpu")


def test_every_rule_names_an_environment_that_is_there() -> None:
    for path in (REPOSITORY / "rules").glob("*.smk"):
        for name in re.findall(r'"\.\./envs/([^"]+)"', path.read_text()):
            assert (REPOSITORY / "envs" / name).is_file(), path


def test_the_cuda_libraries_belong_to_the_tensorflow_of_the_project() -> None:
    text = (REPOSITORY / "requirements-gpu.lock").read_text()
    assert f"\ntensorflow=={project()['tensorflow']} " in text
    assert re.search(r"^nvidia-cudnn-cu12==", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_an_image_is_made_from_the_locks_alone(name: str) -> None:
    recipe = (REPOSITORY / "envs" / name).read_text()
    installs = re.findall(r"pip install.*", recipe)
    assert installs and all("--require-hashes" in line for line in installs)
    for lock in re.findall(r"requirements[a-z-]*\.lock", recipe):
        assert (REPOSITORY / lock).is_file()
    python = yaml.safe_load((REPOSITORY / "envs/workflow.yaml").read_text())["dependencies"][0]
    assert f"python:{python.removeprefix('python=')}-" in recipe
