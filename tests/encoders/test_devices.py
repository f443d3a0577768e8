"""The choice of a GPU, without any GPU: nvidia-smi is replaced by a script, and TensorFlow finds none."""

import os
import socket
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

import background
from cbir.encoders import devices
from cbir.files.errors import InputError

# Takes one of two GPUs, prints which, and keeps it until standard input closes.
HOLD = """
import sys
from cbir.encoders.devices import _claim
print(_claim(["0", "1"], 0.01), flush=True)
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
def test_only_gpus_given_by_the_scheduler_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, names: list[str]
) -> None:
    monkeypatch.setenv("PATH", nvidia_smi(tmp_path, "echo 0; echo 1; echo 2; echo 3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert devices.visible() == names


def test_without_a_scheduler_all_gpus_of_the_machine_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible() == []
    nvidia_smi(tmp_path, "echo 0; echo 1")
    assert devices.visible() == ["0", "1"]
    # The output of nvidia-smi if the driver does not answer.
    nvidia_smi(tmp_path, "echo 'NVIDIA-SMI has failed'; exit 9")
    assert devices.visible() == []


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the path of the folder of locks of GPUs, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / f"cbir-gpus-{socket.gethostname()}"


def test_concurrent_jobs_do_not_share_a_gpu(locks: Path) -> None:
    first, second = background.start(HOLD), background.start(HOLD)
    taken = background.line(first)
    assert {taken, background.line(second)} == {"0", "1"}
    assert stat.S_IMODE(locks.stat().st_mode) == 0o700
    third = background.start(HOLD)
    # A killed job releases its GPU, too.
    first.kill()
    assert background.line(third) == taken
    for process in (first, second, third):
        process.communicate()


def test_a_link_in_place_of_a_lock_is_not_followed(locks: Path, tmp_path: Path) -> None:
    precious, absent = tmp_path / "precious", tmp_path / "absent"
    precious.write_text("kept")
    locks.mkdir(mode=0o700, parents=True)
    (locks / "0").symlink_to(precious)
    (locks / "1").symlink_to(absent)
    for names in (["0", "1"], ["1", "0"]):
        with pytest.raises(InputError, match="cannot be used"):
            devices._claim(names)
    assert precious.read_text() == "kept" and not absent.exists()


def test_a_lock_that_exists_keeps_its_content(locks: Path) -> None:
    locks.mkdir(mode=0o700, parents=True)
    (locks / "0").write_text("kept")
    assert devices._claim(["0", "1"]) == "0"
    assert (locks / "0").read_text() == "kept"


@pytest.mark.parametrize("case", ["link", "dangling link", "file", "group may write", "of another user"])
def test_a_folder_of_locks_of_another_user_is_refused(
    locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    locks.parent.mkdir()
    if "link" in case:
        locks.symlink_to(tmp_path / "absent" if case == "dangling link" else elsewhere)
    elif case == "file":
        locks.touch()
    else:
        locks.mkdir(mode=0o700)
        if case == "group may write":
            locks.chmod(0o720)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: locks.stat().st_uid + 1)
    with pytest.raises(InputError, match=rf"{locks.name}.*name one GPU by CUDA_VISIBLE_DEVICES"):
        devices._claim(["0", "1"])
    assert list(elsewhere.iterdir()) == [] and not (tmp_path / "absent").exists()
    # With a single GPU no folder is needed.
    assert devices._claim(["0"]) == "0"


def test_nothing_is_made_in_the_temporary_folder(locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert devices._claim(["MIG-1/0", "1"]) == "MIG-1/0"
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [path.name for path in locks.iterdir()] == ["MIG-1_0"]


def test_a_job_without_a_gpu_sees_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with caplog.at_level("INFO", "cbir"):
        devices.take(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    assert caplog.messages == ["no GPU: runs on the CPU"]


def test_a_gpu_that_cannot_be_used_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.setattr(devices, "_set_up", list)
    with caplog.at_level("INFO", "cbir"):
        devices.take(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert "GPU 5 was given, but Keras finds none" in caplog.text


@pytest.mark.parametrize(
    ("backend", "module", "found"),
    [
        ("torch", SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 0)), []),
        (
            "torch",
            SimpleNamespace(
                cuda=SimpleNamespace(device_count=lambda: 1, get_device_name=lambda number: f"card {number}")
            ),
            ["card 0"],
        ),
        ("jax", None, []),
    ],
)
def test_devices_are_listed_in_the_way_of_each_backend(
    backend: str, module: SimpleNamespace | None, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras cannot list the devices of PyTorch, and JAX raises an error if there is no device of a kind."""

    def raises(kind: str) -> None:
        raise RuntimeError(f"Unknown backend {kind}")

    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(keras.distribution, "list_devices", raises)
    if module is not None:
        monkeypatch.setitem(sys.modules, backend, module)
    assert devices._set_up() == found


def test_jax_does_not_take_all_of_a_gpus_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    devices.take(0)
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
