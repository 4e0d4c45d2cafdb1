"""Too few minutes are told before anything is made, and only where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset.downstream import budget
from twinset.pipeline.opening import open_run
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.resolving import Machine
from twinset.recipe import recipe_from_values
from twinset.stages import Progress


class Heard(Quiet):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stage(self, name: str) -> Progress:
        """One of the things that happen."""
        self.told.append(name)
        return super().stage(name)

    def note(self, text: str) -> None:
        """Another."""
        self.told.append(text)


def told(folder: Path, *, minutes: float, steps: object = "auto") -> list[str]:
    utility = {"steps": steps, "width": 8 if steps != "auto" else "auto"}
    values = {
        "data": "builtin:digits",
        "minutes": minutes,
        "threads": 1,
        "edit": [{"use": "classical"}],
        "generate": [],
        "evaluate": {"utility": utility},
    }
    heard = Heard()
    folder.mkdir()
    open_run(folder, recipe_from_values(values), Machine(1, "cpu"), heard, reread=True)
    return [text for text in heard.told if "minutes are too few" in text]


@pytest.mark.slow
def test_a_budget_below_the_least_is_named_with_the_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(budget, "_seconds_per_step", lambda *_: 0.1)
    # 32 trainings of 300 steps, and as many predictions, with a quarter of the time kept in reserve: 22 minutes.
    (line,) = told(tmp_path / "few", minutes=0.3)
    assert line.startswith("0.3 minutes are too few: this run takes about 2")
    assert " min " in line.split("about ")[1].split(",")[0]
    assert told(tmp_path / "enough", minutes=120) == []


def test_what_was_asked_for_in_steps_is_not_called_too_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(budget, "_seconds_per_step", lambda *_: 0.1)
    assert told(tmp_path / "steps", minutes=0.3, steps=40) == []
