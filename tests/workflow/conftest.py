"""One finished run that the tests of the workflow copy."""

from pathlib import Path

import pytest

from workplace import Workplace, make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace after a whole run; tests copy it and leave it as it is."""
    place = make(tmp_path_factory.mktemp("finished") / "place")
    done = place.run()
    assert done.status == 0, done.output
    return place


@pytest.fixture
def workplace(finished: Workplace, tmp_path: Path) -> Workplace:
    """A copy of the finished workplace to change."""
    return finished.copy(tmp_path / "place")
