"""What may befall a run from outside: it is killed, another one works in the same folder."""

import random
import signal
from pathlib import Path

import faults
from faults import RULES
from workplace import Workplace, photograph


def test_killed_in_every_rule_it_ends_as_if_unbroken(tmp_path: Path) -> None:
    whole = faults.prepare(tmp_path / "whole")
    counts = faults.unbroken(whole)
    assert counts.keys() == RULES.keys()
    place = faults.prepare(tmp_path / "killed")
    chosen = random.Random(0)
    for rule in RULES:
        run = faults.kill(place, rule, chosen.random(), counts)
        assert run.status == -signal.SIGKILL, (rule, run.output)
    run = place.run()
    assert run.status == 0, run.output
    assert faults.compare(place, faults.contents(whole)) == []
    assert not place.run().rules


def test_killed_while_it_encodes_new_images_it_goes_on_to_the_end(workplace: Workplace) -> None:
    for label, category in enumerate(("apple", "leaf", "sea")):
        photograph(label, 50).save(workplace.folder / "collection" / category / "new.png")
    assert workplace.run("results/splits/train.csv").status == 0
    assert faults.kill(workplace, "encode", 0.5, {"encode": 8}).status == -signal.SIGKILL
    run = workplace.run()
    assert run.status == 0, run.output
    # Snakemake, left to itself, ends here with success and the old report.
    assert {"encode", "assemble", "index", "evaluate", "report"} <= run.rules.keys()
    assert not workplace.run().rules
