from __future__ import annotations

import pytest

from twinset.downstream import budget, choose_settings
from twinset.images import ImageSpec
from twinset.models.classifier import ClassifierSettings

SPEC = ImageSpec(8, 8, 1)


def clock(monkeypatch: pytest.MonkeyPatch, *, per_width: float) -> None:
    """Pretends that a step takes ``per_width`` seconds per channel."""

    def seconds(spec: ImageSpec, n_classes: int, settings: ClassifierSettings) -> float:
        return settings.width * per_width

    monkeypatch.setattr(budget, "_seconds_per_step", seconds)


def test_more_time_buys_more_steps_between_the_floor_and_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, per_width=1 / 3200)

    def chosen(seconds: float, workers: int = 1) -> ClassifierSettings:
        return choose_settings(SPEC, [10, 10], seconds=seconds, workers=workers, cells=10)

    assert (chosen(80).width, chosen(80).steps) == (32, 600)
    assert chosen(80, workers=2).steps == 1000
    assert (chosen(38).width, chosen(38).steps) == (24, 350)
    assert (chosen(1).width, chosen(1).steps) == (16, 300)
    assert chosen(1e6).steps == 1000


def test_many_images_to_predict_leave_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, per_width=1 / 3200)
    few = choose_settings(SPEC, [10, 10], seconds=100, workers=1, cells=10)
    many = choose_settings(SPEC, [10, 10], seconds=100, workers=1, cells=10, n_evaluate=20_000)
    assert many.steps < few.steps


def test_classes_are_balanced_when_their_counts_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, per_width=1 / 3200)
    for counts, balanced in (([20, 60], True), ([10, 11, 9], False), ([0, 10, 10], False)):
        chosen = choose_settings(SPEC, counts, seconds=100, workers=1, cells=10)
        assert chosen.class_balanced is balanced


def test_a_real_probe_answers_and_nonsense_is_refused() -> None:
    chosen = choose_settings(SPEC, [5, 5], seconds=1e4, workers=2, cells=2)
    assert chosen.steps == budget.MOST_STEPS
    with pytest.raises(ValueError, match="expected images"):
        choose_settings(SPEC, [0, 0], seconds=10, workers=1, cells=1)
    with pytest.raises(ValueError, match="seconds > 0"):
        choose_settings(SPEC, [3, 3], seconds=0, workers=1, cells=1)
