from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation import fidelity
from twinset.evaluation.distances.cmmd import ClipDiscrepancy
from twinset.evaluation.distances.frechet import FrechetDistance
from twinset.evaluation.explain.alarm import DiversityAlarm, against_floor, diversity_alarms
from twinset.evaluation.neighbourhoods.prdc import PRDC
from twinset.evaluation.vendi import Vendi
from twinset.randomness import Stream
from twinset.scores import Interval, Score


def score(name: str, value: float, floor: float | None, *, half: float = 0.0, at: float | None = None) -> Score:
    settings: dict[str, str | int | float] = {} if at is None else {"value_at_floor": at, "floor_n_real": 100}
    higher = not name.startswith(("frechet_distance", "cmmd"))
    return Score(
        name, value, higher, {"real": 200}, Interval(value - half, value + half), floor=floor, settings=settings
    )


@pytest.mark.parametrize("diversity", ["coverage", "recall", "vendi_score", "vendi_ratio_q1"])
@pytest.mark.parametrize("distance", ["frechet_distance", "cmmd"])
def test_a_fine_distance_with_fallen_diversity_alarms(distance: str, diversity: str) -> None:
    alarms = diversity_alarms([score(distance, 1.0, 1.1), score(diversity, 0.6, 0.9, half=0.1)])
    assert alarms == [DiversityAlarm((distance,), (diversity,))]
    assert f"{distance.replace('_', ' ')} is at the level" in alarms[0].sentence
    assert f"{diversity.replace('_', ' ')} is below it" in alarms[0].sentence


def test_no_alarm_where_the_distance_says_so_itself_or_diversity_stands_or_nothing_is_known() -> None:
    fine, fallen = score("cmmd", 1.0, 1.1), score("coverage", 0.6, 0.9)
    assert diversity_alarms([score("cmmd", 2.0, 1.0, half=0.1), fallen]) == []
    assert diversity_alarms([fine, score("coverage", 0.95, 0.9)]) == []
    assert diversity_alarms([fine, score("coverage", 0.85, 0.9, half=0.1)]) == []
    assert diversity_alarms([fine, score("density", 0.6, 0.9)]) == []
    assert diversity_alarms([score("cmmd", 1.0, None), fallen]) == []
    assert diversity_alarms([fine, score("coverage", 0.6, None)]) == []
    undefined = Score("coverage", None, True, {}, undefined_because="too few")
    assert diversity_alarms([fine, undefined]) == []
    assert diversity_alarms([]) == []


def test_classes_are_judged_apart_and_named() -> None:
    scores = [score("cmmd", 1.0, 1.1), score("coverage[a[1]]", 0.5, 0.9)]
    assert diversity_alarms(scores) == []
    found = diversity_alarms([*scores, score("cmmd[a[1]]", 1.0, 1.1), score("recall[a[1]]", 0.1, 0.9)])
    assert [alarm.class_name for alarm in found] == ["a[1]"]
    assert "in class 'a[1]', but coverage and recall are below it" in found[0].sentence


def test_the_figure_at_the_floors_own_n_is_what_counts() -> None:
    assert against_floor(score("frechet_distance", 1.0, 2.0, at=2.5)) == "worse"
    assert against_floor(score("frechet_distance", 3.0, 2.0, at=1.9)) == "within"
    # Half of the images: an interval wider by √2, and once more for the floor's own scatter.
    assert against_floor(score("coverage", 0.7, 0.89, half=0.1, at=0.7)) == "within"
    assert against_floor(score("coverage", 0.7, 0.91, half=0.1, at=0.7)) == "worse"
    assert against_floor(score("coverage", 0.7, 0.83, half=0.1)) == "within"
    assert against_floor(score("coverage", 0.7, 0.85, half=0.1)) == "worse"
    assert against_floor(score("coverage", 0.8, None)) == "unknown"


def test_a_twin_of_few_repeated_images_alarms_and_an_honest_one_does_not() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    real, other = draw.normal(size=(2, 400, 12)) + 3
    few = draw.normal(size=(60, 12)) + 3
    few = (few - few.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(few.T))).T + 3
    repeated = few[draw.integers(60, size=400)] + 0.001 * draw.normal(size=(400, 12))

    def alarms(synthetic: np.ndarray) -> list[DiversityAlarm]:
        metrics = (FrechetDistance(), ClipDiscrepancy(), PRDC(), Vendi(orders=(1.0,)))
        return diversity_alarms(fidelity(real, synthetic, extractor="none", rng=Stream(0), metrics=metrics))

    assert alarms(other) == []
    found = alarms(repeated)
    assert len(found) == 1
    assert "coverage" in found[0].fallen
