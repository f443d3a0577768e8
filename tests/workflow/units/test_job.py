"""The script of a job, run in a new process as Snakemake does."""

import subprocess
import sys
from pathlib import Path

from cbir.workflow import job

CODE = """
import logging, sys
import numpy, threadpoolctl
from types import SimpleNamespace
from cbir.workflow import job
from cbir.files.errors import InputError

def work(snakemake):
    logging.getLogger("cbir").info("working")
    {}

job.run(work, SimpleNamespace(log=[sys.argv[1]], threads=1, rule="encode", input=sys.argv[2:]))
print("done")
"""


def run(body: str, log: Path, *inputs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE.format(body), str(log), *map(str, inputs)],
        env={"PYTHONPATH": str(Path(job.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_successful_job_logs_to_its_file_and_to_the_terminal(tmp_path: Path) -> None:
    done = run("pass", tmp_path / "logs" / "a.log")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "INFO working" in done.stderr
    assert (tmp_path / "logs" / "a.log").read_text() == done.stderr


def test_output_of_libraries_goes_only_to_the_log_file(tmp_path: Path) -> None:
    noise = "import os; os.write(1, b'noise 1 ' + bytes([10])); os.system('echo noise 2 >&2'); print('noise 3'); "
    noise += "logging.basicConfig(); logging.getLogger('cbir').info('more'); logging.getLogger('absl').error('noise 4')"
    done = run(noise, tmp_path / "a.log")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert [line.split(" ", 1)[1] for line in done.stderr.splitlines()] == ["INFO working", "INFO more"]
    text = (tmp_path / "a.log").read_text()
    assert text.count("more") == 1
    assert all(f"noise {number}" in text for number in (1, 2, 3, 4))


def test_at_the_end_of_the_process_the_libraries_are_not_searched_for_garbage(tmp_path: Path) -> None:
    # Functions that are registered first run last.
    count = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 10_000))"
    done = subprocess.run(
        [sys.executable, "-c", count + CODE.format("pass"), str(tmp_path / "a.log")],
        env={"PYTHONPATH": str(Path(job.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\nTrue\n")


def test_an_input_error_is_one_sentence_without_a_traceback(tmp_path: Path) -> None:
    done = run("raise InputError('The image x is broken: replace it.')", tmp_path / "a.log")
    assert (done.returncode, done.stdout) == (1, "")
    log = (tmp_path / "a.log").read_text()
    assert log.splitlines()[-1].endswith("ERROR The image x is broken: replace it.")
    assert "Traceback" not in log + done.stderr
    assert "is broken" in done.stderr


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    done = run(
        "raise InputError('The image ' + bytes([255]).decode('utf-8', 'surrogateescape') + ' is broken.')",
        tmp_path / "a",
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "The image \\udcff is broken." in (tmp_path / "a").read_text(encoding="utf-8")


HOSTILE = "a\\x1b[31m\\n12:00:00 ERROR forged\\u202e\\r\\udcff.png"


def test_names_in_log_lines_are_printable_and_forge_no_line(tmp_path: Path) -> None:
    done = run(f"job.log.info('from %s on', '{HOSTILE}')", tmp_path / "a.log")
    assert done.returncode == 0
    for text in ((tmp_path / "a.log").read_text(encoding="utf-8"), done.stderr):
        first, second = text.split("\n")[:-1]
        assert "INFO working" in first
        assert second.endswith(f"INFO from {HOSTILE} on")


def test_a_name_in_a_traceback_forges_no_line(tmp_path: Path) -> None:
    done = run(f"raise OSError('{HOSTILE}')", tmp_path / "a.log")
    assert done.returncode == 1
    for text in ((tmp_path / "a.log").read_text(encoding="utf-8"), done.stderr):
        lines = text.split("\n")[:-1]
        assert all(line.isprintable() for line in lines)
        assert [line for line in lines if line.startswith("12:00:00 ERROR")] == []
        assert any(line.startswith("  OSError: a\\x1b[31m") for line in lines)


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "a.log").symlink_to("precious")
    done = run("pass", tmp_path / "a.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert f"{tmp_path}/a.log is a link or no regular file, and is not written to: remove it." in done.stderr
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_log_contains_only_the_last_job(tmp_path: Path) -> None:
    for word in ("first", "second"):
        run(f"job.log.info('{word}')", tmp_path / "a.log")
    log = (tmp_path / "a.log").read_text()
    assert "second" in log and "first" not in log


def test_an_error_of_the_program_keeps_its_traceback(tmp_path: Path) -> None:
    done = run("{}['missing']", tmp_path / "a.log")
    assert done.returncode == 1
    log = (tmp_path / "a.log").read_text()
    assert "The rule encode failed" in log
    assert "Traceback" in log
    assert "KeyError: 'missing'" in log


def test_a_damaged_input_is_reported_instead_of_the_error_that_it_causes(tmp_path: Path) -> None:
    about = tmp_path / "results/encoders/small.json"
    about.parent.mkdir(parents=True)
    image = tmp_path / "image.png"
    image.touch()
    about.write_text("[]")
    done = run("{}['missing']", tmp_path / "a.log", image, about)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"ERROR {about} holds no JSON object: remove it and run again." in done.stderr


def test_numerical_libraries_use_the_threads_of_the_job(tmp_path: Path) -> None:
    body = "assert [pool['num_threads'] for pool in threadpoolctl.threadpool_info()] == [1]"
    assert run(body, tmp_path / "a.log").returncode == 0


def test_text_in_tables_is_the_same_with_and_without_pyarrow(tmp_path: Path) -> None:
    code = CODE.replace("import numpy,", "import pandas, numpy,").format(
        "assert pandas.Series(['x']).dtype.storage == 'python'"
    )
    # As if pyarrow were installed, whose types pandas would use.
    code = code.replace("\ndef work", "\npandas.options.mode.string_storage = 'pyarrow'\n\ndef work")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.log")],
        env={"PYTHONPATH": str(Path(job.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


SWEEPS = """
import sys
from types import SimpleNamespace
from cbir.files.atomic import atomic, sole_writer
from cbir.workflow import job

shard, log = sys.argv[1:]
with sole_writer(shard), atomic(shard) as temporary:
    temporary.write_text("half")
    # Another process, as a lock does not keep out its own.
    code = "import sys; from types import SimpleNamespace; from cbir.workflow import job; job.run(print, " \
        "SimpleNamespace(log=[sys.argv[2]], threads=1, rule='encode', input=[], output=[sys.argv[1]]))"
    import subprocess
    subprocess.run([sys.executable, "-c", code, shard, log], check=True)
    print(temporary.read_text())
"""


def test_a_job_does_not_remove_files_that_another_job_is_writing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWEEPS, str(tmp_path / "0.h5"), str(tmp_path / "a.log")],
        env={"PYTHONPATH": str(Path(job.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "half"
    # If no job is writing them, a killed job left them.
    for name in (".0.12345678.h5", ".list.12345678.csv"):
        (tmp_path / name).write_text("half")
    code = CODE.format("pass").replace("input=sys.argv[2:]", "input=[], output=[sys.argv[2]]")
    code = code.replace("log=[sys.argv[1]]", "log=[sys.argv[1], sys.argv[3]]")
    command = [sys.executable, "-c", code, *(str(tmp_path / name) for name in ("a.log", "0.h5", "list.csv"))]
    subprocess.run(command, env={"PYTHONPATH": str(Path(job.__file__).parents[2])}, check=True, capture_output=True)
    assert not list(tmp_path.glob(".*.12345678.*"))
