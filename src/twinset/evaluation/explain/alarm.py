"""The cross-check of distances by diversity: a twin can sit at the floor of a distance and yet show less variety.

Fréchet distance sees two moments and CMMD with a wide kernel nearly the mean alone, so a generator that shrinks or
repeats within each kind of image can pass them. Vendi ratio, coverage and recall would fall. Where a distance lies
within its real-vs-real floor while one of these lies below its own, the reader is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from twinset.scores import Score

DISTANCES = ("frechet_distance", "cmmd")
DIVERSITY = re.compile(r"vendi(_score|_ratio_q.+)|coverage|recall")
CLASS = re.compile(r"(?P<name>.+?)(?:\[(?P<class_name>.*)\])?", re.DOTALL)
Verdict = Literal["within", "worse", "unknown"]


@dataclass(frozen=True)
class DiversityAlarm:
    """Distances that are ``fine`` and figures of diversity that have ``fallen``, of one class or of all ("")."""

    fine: tuple[str, ...]
    fallen: tuple[str, ...]
    class_name: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        where = f" in class {self.class_name!r}" if self.class_name else ""
        return (
            f"{_listed(self.fine)} at the level of real images{where}, but {_listed(self.fallen)} below it: "
            "the synthetic images are less varied than real ones, which these distances do not see"
        )


def diversity_alarms(scores: Sequence[Score]) -> list[DiversityAlarm]:
    """One alarm for all images, and one for each class, where distances pass and diversity does not.

    Scores without a floor say nothing, and a figure of diversity without an interval (a Vendi score of order below 1)
    raises no alarm: nobody knows how much it scatters.

    >>> from twinset.scores import Interval
    >>> fine = Score("cmmd", 0.1, False, {"real": 99}, floor=0.2)
    >>> low = Score("coverage", 0.5, True, {"real": 99}, floor=0.9, interval=Interval(0.4, 0.6))
    >>> diversity_alarms([fine, low])[0].sentence[:62]
    'cmmd is at the level of real images, but coverage is below it:'
    """
    groups: dict[str, list[tuple[str, Score]]] = {}
    for score in scores:
        found = CLASS.fullmatch(score.name)
        assert found is not None
        groups.setdefault(found["class_name"] or "", []).append((found["name"], score))
    alarms = []
    for class_name, members in groups.items():
        fine = tuple(name for name, score in members if name in DISTANCES and against_floor(score) == "within")
        fallen = tuple(
            name
            for name, score in members
            if DIVERSITY.fullmatch(name) and score.interval is not None and against_floor(score) == "worse"
        )
        if fine and fallen:
            alarms.append(DiversityAlarm(fine, fallen, class_name))
    return alarms


def against_floor(score: Score) -> Verdict:
    """Whether a figure is ``within`` its real-vs-real floor, or ``worse`` by more than both scatter.

    The figure at the floor's N (``value_at_floor`` in its settings) is compared where there is one. What counts as
    scatter is half its 95 % interval, widened by √N to the floor's N and by √2 because the floor scatters too. In 60
    simulations each of equal Gaussian sets (100…400 images) some diversity figure was called worse in 0–5 % of them. A
    figure without an interval is taken at its word; one without a floor is ``unknown``.
    """
    if score.value is None or score.floor is None or score.higher_is_better is None:
        return "unknown"
    value = float(score.settings.get("value_at_floor", score.value))
    slack = 0.0
    if score.interval is not None:
        # Not the side towards the floor: of a coverage near 1 that side is empty.
        here, there = score.counts.get("real", 0), int(score.settings.get("floor_n_real", 0))
        slack = (score.interval.high - score.interval.low) / 2 * (2 * here / there if there else 2.0) ** 0.5
    behind = score.floor - value if score.higher_is_better else value - score.floor
    return "worse" if behind > slack else "within"


def _listed(names: Sequence[str]) -> str:
    shown = [name.replace("_", " ") for name in names]
    return f"{shown[0]} is" if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]} are"
