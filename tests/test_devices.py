"""GPUs are only counted here: nvidia-smi is a script, and TensorFlow finds none."""

import os
from pathlib import Path

import pytest

import background
from cbir import devices

# Take one of two GPUs, say which, and keep it until standard input closes.
HOLD = """
import sys
from cbir.devices import _claim
print(_claim(["0", "1"], sys.argv[1], 0.01), flush=True)
sys.stdin.read()
"""


def nvidia_smi(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", ["0"]),
        ("2, GPU-8932f937", ["2", "GPU-8932f937"]),
        ("1,-1,2", ["1"]),
    ],
)
def test_what_the_scheduler_gave_is_all_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, names: list[str]
) -> None:
    monkeypatch.setenv("PATH", nvidia_smi(tmp_path, "echo 0; echo 1; echo 2; echo 3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert devices.visible() == names


def test_else_all_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible() == []
    nvidia_smi(tmp_path, "echo 0; echo 1")
    assert devices.visible() == ["0", "1"]
    # So it says with a driver that does not answer.
    nvidia_smi(tmp_path, "echo 'NVIDIA-SMI has failed'; exit 9")
    assert devices.visible() == []


def test_jobs_beside_each_other_do_not_share_a_gpu(tmp_path: Path) -> None:
    first, second = background.start(HOLD, tmp_path), background.start(HOLD, tmp_path)
    taken = background.line(first)
    assert {taken, background.line(second)} == {"0", "1"}
    third = background.start(HOLD, tmp_path)
    # Even a killed job gives its GPU back.
    first.kill()
    assert background.line(third) == taken
    for process in (first, second, third):
        process.communicate()


def test_a_job_that_was_given_none_sees_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with caplog.at_level("INFO", "cbir"):
        devices.take(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    assert caplog.messages == ["no GPU: runs on the CPU"]


def test_a_gpu_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.setattr(devices, "_set_up", list)
    with caplog.at_level("INFO", "cbir"):
        devices.take(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert "GPU 5 was given, but Keras finds none" in caplog.text
