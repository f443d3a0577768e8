"""`cbir.results` names the files of a run: those that the rules write, and those that `make inspect` knows."""

import re
from pathlib import Path

import pytest

from cbir import results
from cbir.artifacts.registry import KINDS
from cbir.results import FILES, JOBS, Results, match

RULES = Path(__file__).parents[1] / "rules"
# Files that jobs write in addition to their outputs, files of Snakemake, and logs, which have their own test.
BESIDE = {
    *(results.CONTENTS_MEMORY, results.DECODED_MEMORY, results.COMPARED_MEMORY, results.SOURCE_IMAGE),
    *(results.SUSPECTS_MEMORY, results.RANKS_MEMORY, results.GALLERY_MEMORY),
    *(results.CHECKPOINT, results.CHECKPOINT_CODE, results.ENCODED_PART),
    *(results.SNAKEMAKE_REPORT, results.LOG, results.BENCHMARK),
}


def nameless(pattern: str) -> str:
    """Return a path with `{}` for each wildcard and split, so that `{method}` and `{derived}` are the same."""
    plain = pattern.replace("{pair}", "{a}_vs_{b}").replace("{weights}", "{architecture}-{source}")
    return re.sub(r"/(train|val|test)\.", "/{}.", re.sub(r"\{[^}]*\}", "{}", plain))


def in_rules() -> set[str]:
    """Return every path below results/ in the rules; `{{x}}` and `{x}` of an f-string are wildcards, too."""
    text = "".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
    paths = re.findall(r"""["']results/((?:\{[^}]*\}+|[^"'{}])+)["']""", text)
    return {nameless(re.sub(r"\{\{|\}\}", lambda brace: brace[0][0], path)) for path in paths}


def test_the_rules_write_what_the_library_names() -> None:
    written = {path for path in in_rules() if not path.startswith(("logs/", "benchmarks/"))}
    # `report_input`, `refine_input`, `query_evaluation` and `evaluations` compose paths from parts.
    parts = {"{}", "features/{}", "evaluation/{}", "evaluation/{}/{}"}
    assert written - parts == {nameless(pattern) for pattern in set(FILES) - BESIDE}


def test_every_job_has_a_log_of_its_name() -> None:
    logs = {path.removeprefix("logs/") for path in in_rules() if path.startswith("logs/")}
    assert logs == {nameless(f"{job}.log") for job in JOBS}
    measured = {path.removeprefix("benchmarks/") for path in in_rules() if path.startswith("benchmarks/")}
    assert measured <= {nameless(f"{job}.tsv") for job in JOBS}


def test_inspect_knows_every_file_once() -> None:
    assert len({kind.pattern for kind in KINDS}) == len(KINDS)
    # The files of index kinds have different suffixes.
    patterns = {re.sub(r"^index/\{method\}\.(?!json)\w+$", results.INDEX, kind.pattern) for kind in KINDS}
    assert sorted(patterns) == sorted(set(FILES) - {results.ENCODED_OUTSIDE})


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        (results.FEATURES, "features/a/train.h5", {"method": "a", "split": "train"}),
        (results.FEATURES, "features/a/b/train.h5", None),
        (results.FEATURES, "features/a/train_h5", None),
        (results.SOURCE_IMAGE, "sources/s/images/a/b\n.png", {"source": "s", "image": "a/b\n.png"}),
        (results.PAIR, "comparison/a_vs_b.json", {"pair": "a_vs_b"}),
        (results.PAIR, "comparison/methods.json", None),
        (results.INDEX_ABOUT, "index/a.json", {"method": "a"}),
        (results.INDEX_ABOUT, "index/a.quality.json", None),
        (results.INDEX_QUALITY, "index/a.quality.json", {"approximate": "a"}),
        (results.ENCODED_OUTSIDE, "encoded/e/r/0.h5", None),
        (results.REPORT, "report.html", {}),
    ],
)
def test_a_pattern_must_match_the_whole_path(pattern: str, path: str, names: dict[str, str] | None) -> None:
    assert match(pattern, path) == names


def test_files_are_found_by_the_values_of_wildcards(tmp_path: Path) -> None:
    for name in ("features/b/train.h5", "features/a/train.h5", "features/a/test.h5", "benchmarks/x/y/0.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "features/c/train.h5").mkdir(parents=True)
    held = Results(tmp_path)
    assert held.require_methods() == ["a", "b"]
    assert held.find(results.FEATURES, method="a") == [
        (tmp_path / "features/a/test.h5", {"split": "test"}),
        (tmp_path / "features/a/train.h5", {"split": "train"}),
    ]
    assert held.find(results.BENCHMARK) == [(tmp_path / "benchmarks/x/y/0.tsv", {"job": "x/y/0"})]


def test_a_changed_table_does_not_change_the_next_reading(tmp_path: Path) -> None:
    (tmp_path / "collection").mkdir()
    (tmp_path / results.REJECTED).write_text("path,reason,bytes\na,b,\nc,d,7\n")
    held = Results(tmp_path)
    first = held.table(results.REJECTED, ["path", "reason"], ["bytes"])
    assert first["bytes"].isna().tolist() == [True, False]
    first["path"] = "x"
    assert held.table(results.REJECTED, ["path", "reason"])["path"].tolist() == ["a", "c"]
