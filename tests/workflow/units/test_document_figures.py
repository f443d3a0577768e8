"""The tables of the documents that scripts/document_figures.py writes."""

import json
from pathlib import Path

import pandas as pd
import pytest

import document_figures as module

PAGE = """# Results
<!-- figures: sample methods -->
stale
<!-- end of figures -->
between
<!-- figures: animals methods -->
of another run
<!-- end of figures -->
"""


def test_a_block_is_replaced_and_the_text_around_it_stays() -> None:
    written = module.rewrite(PAGE, {("sample", "methods"): lambda: "| new |"})
    assert written == PAGE.replace("stale", "| new |")
    assert module.rewrite(written, {("sample", "methods"): lambda: "| new |"}) == written


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no figures of the kind 'methods'"):
        module.rewrite(PAGE, {("sample", "other"): lambda: ""})


def test_every_block_of_the_documents_is_of_a_known_run_and_kind() -> None:
    for path in module.DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        found = module.BLOCK.findall(text)
        assert text.count("<!-- figures:") == text.count("<!-- end of figures -->") == len(found), path
        assert all(run in module.RUNS and kind in module.KINDS for _, run, kind, _ in found), path


def test_methods_with_both_intervals(tmp_path: Path) -> None:
    row = {"method": "a", "k": 3}
    for key, values in {"accuracy": (0.5, 0.25, 0.75, 0.125, 0.875), "anmrr": (0.2, 0.1, 0.3, 0.05, 0.4)}.items():
        row |= dict(zip((f"{key}{end}" for end in ENDS), values, strict=True))
    row |= dict.fromkeys((f"map{end}" for end in ENDS), 0.5)
    (tmp_path / "comparison").mkdir()
    pd.DataFrame([row]).to_csv(tmp_path / "comparison/methods.csv", index=False)
    assert module.methods(tmp_path).splitlines() == [
        "| method | accuracy | ANMRR | MAP |",
        "| --- | --- | --- | --- |",
        "| `a` | 50.0 % (25.0 to 75.0 %; 12.5 to 87.5 %) | 0.200 (0.100 to 0.300; 0.050 to 0.400) "
        "| 0.500 (0.500 to 0.500; 0.500 to 0.500) |",
    ]


ENDS = ("", "_low", "_high", "_categories_low", "_categories_high")


def test_unseen_lowest_and_findings(tmp_path: Path) -> None:
    for name, value in {
        "evaluation/a/summary.json": {"unseen_gallery": {"gallery": 31, "anmrr": 0.25, "anmrr_train": None}},
        "evaluation/a/worst.json": {"category": "x", "f1": 0.5, "lowest_in": [{"category": "x", "share": 0.56}]},
        "comparison/a_vs_b.json": {"a": "a", "b": "b", "words": "Words."},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(value))
    assert module.unseen(tmp_path).splitlines()[2:] == ["| `a` | 31 | 0.250 | - |"]
    assert module.lowest(tmp_path).splitlines()[2:] == ["| `a` | x (0.50) | x 56 % |"]
    assert module.findings(tmp_path) == "- `a` and `b`. Words."


def test_feedback_of_the_sample_of_all_queries(tmp_path: Path) -> None:
    rows = [
        {"strategy": "rocchio", "scope": scope, "category": "", "round": number, "common_queries": 23}
        | {"precision_at_k": 0.5 + number / 4, "common_residual_anmrr": 0.25, "common_residual_anmrr_plain": 0.5}
        | {"common_residual_precision_at_k": 0.75, "common_residual_precision_at_k_plain": 0.625}
        for scope in ("worst", "sample")
        for number in (0, 1)
    ]
    (tmp_path / "feedback/simulated/a").mkdir(parents=True)
    pd.DataFrame(rows).to_csv(tmp_path / "feedback/simulated/a/gain.csv", index=False)
    assert module.feedback(tmp_path).splitlines()[2:] == [
        "| `a` (23) | `rocchio` | 0.50, 0.75 | 0.75 (0.62) | 0.25 (0.50) |"
    ]
