import pytest

from cbir.training.train import _rate
from training.made import settings


def rates(kind: str, peak: float, warmup: int, epochs: int, steps: list[int], length: int = 2) -> list[float]:
    rate = _rate(settings(schedule=kind, learning_rate=peak, warmup_epochs=warmup, epochs=epochs), length)
    return [float(rate(step)) for step in steps]


def test_a_constant_rate_rises_from_0_in_the_warm_up_and_stays() -> None:
    # A warm-up of two epochs with 2 steps each: each step adds a quarter of the peak.
    found = rates("constant", 0.8, 2, 5, [0, 1, 3, 4, 9])
    assert found == pytest.approx([0, 0.2, 0.6, 0.8, 0.8])
    assert rates("constant", 1, 0, 5, [0, 1, 9]) == [1, 1, 1]


def test_a_cosine_falls_to_0_at_the_end() -> None:
    # Half a cosine over 8 steps: (1 + cos(pi / 4)) / 2 after 2 of them.
    assert rates("cosine", 1, 0, 4, [0, 2, 4, 8, 20]) == pytest.approx([1, 0.853553, 0.5, 0, 0], abs=1e-6)


def test_a_cosine_begins_after_the_warm_up() -> None:
    assert rates("cosine", 1, 1, 3, [0, 1, 2, 4, 6]) == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-6)
