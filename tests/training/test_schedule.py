import pytest

from cbir.training.schedule import WarmupSchedule


def rates(schedule: WarmupSchedule, *steps: int) -> list[float]:
    return [float(schedule(step)) for step in steps]


def test_constant_rises_and_stays() -> None:
    schedule = WarmupSchedule("constant", 0.8, warmup=4, steps=10)
    assert rates(schedule, 0, 1, 3, 4, 9) == pytest.approx([0.2, 0.4, 0.8, 0.8, 0.8])


def test_cosine_falls_from_peak_to_zero() -> None:
    # Half-way the cosine is at half its height, at a quarter at (1 + cos 45 degrees) / 2 = 0.853553.
    schedule = WarmupSchedule("cosine", 1.0, warmup=0, steps=8)
    assert rates(schedule, 0, 2, 4, 8, 20) == pytest.approx([1, 0.853553, 0.5, 0, 0], abs=1e-6)


def test_cosine_begins_after_the_rise() -> None:
    schedule = WarmupSchedule("cosine", 1.0, warmup=2, steps=6)
    assert rates(schedule, 0, 1, 2, 4, 6) == pytest.approx([0.5, 1, 1, 0.5, 0], abs=1e-6)
