"""What a run costs, from its timed stages to what it answers; energy by a meter, codecarbon or one that counts."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import twinset
from twinset import documents
from twinset.errors import MissingExtraError, RecipeError
from twinset.pipeline import words
from twinset.pipeline.folders import Timings
from twinset.pipeline.manifest import UNLISTED
from twinset.pipeline.metering import CodeCarbon, check_energy, meter_of
from twinset.recipe import CostPart, recipe_from_values


@dataclass
class Counting:
    """A meter that reads these values, one after the other."""

    values: list[float | None]

    def begin(self) -> Callable[[], float | None]:
        return lambda: self.values.pop(0)


def spend(folder: Path, meter: Counting | None, *names: str) -> None:
    timings = Timings(folder, meter)
    for name in names:
        with timings.stage(name):
            pass


def test_energy_is_summed_over_sittings_like_seconds(tmp_path: Path) -> None:
    spend(tmp_path, Counting([0.25, 1.0]), "generate", "utility")
    spend(tmp_path, Counting([0.5]), "generate")
    assert Timings(tmp_path).energy() == {"generate": 0.75, "utility": 1.0}
    (tmp_path / "timings.json").write_text('{"generate": 3600.0}')
    spend(tmp_path, None, "generate")
    assert 3600.0 <= Timings(tmp_path).read()["generate"] < 3601.0


def test_energy_that_was_not_measured_once_stays_unknown(tmp_path: Path) -> None:
    spend(tmp_path, Counting([0.25, None, 0.5, 0.125]), "generate", "generate", "generate", "align")
    assert Timings(tmp_path).energy() == {"align": 0.125}


def test_an_interrupted_stage_counts(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Timings(tmp_path, Counting([0.5])).stage("utility"):
        raise KeyboardInterrupt
    assert Timings(tmp_path).energy() == {"utility": 0.5}
    assert set(Timings(tmp_path).read()) == {"utility"}


def test_without_a_meter_no_file_is_written(tmp_path: Path) -> None:
    spend(tmp_path, None, "generate")
    assert [path.name for path in tmp_path.iterdir()] == ["timings.json"]
    assert Timings(tmp_path).energy() == {}
    assert {"timings.json", "energy.json"} <= set(UNLISTED)


@dataclass
class Tracker:
    """What codecarbon's tracker does here: keeps its settings and reads 0.125 kWh, or fails to."""

    settings: list[dict[str, object]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    works: bool = True

    def __call__(self, **settings: object) -> Tracker:
        self.settings.append(settings)
        return self

    def start(self) -> None:
        self.steps.append("start")

    def stop(self) -> None:
        self.steps.append("stop")
        if self.works:
            self.final_emissions_data = types.SimpleNamespace(energy_consumed=0.125)


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """Stands where codecarbon would."""
    module, found = types.ModuleType("codecarbon"), Tracker()
    module.__spec__ = importlib.machinery.ModuleSpec("codecarbon", None)
    module.OfflineEmissionsTracker = found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    return found


def test_codecarbon_is_told_to_write_and_send_nothing(tracker: Tracker) -> None:
    end = CodeCarbon().begin()
    assert tracker.steps == ["start"]
    assert end() == 0.125
    assert tracker.steps == ["start", "stop"]
    (settings,) = tracker.settings
    assert settings["output_methods"] == settings["output_handlers"] == []
    assert settings["emissions_endpoint"] is settings["electricitymaps_api_token"] is None


def test_a_tracker_that_fails_reads_nothing(tracker: Tracker) -> None:
    tracker.works = False
    assert CodeCarbon().begin()() is None


def test_a_missing_extra_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        MissingExtraError, match=r"expected the codecarbon package .* install twinset\[energy\]"
    ) as told:
        check_energy()
    assert told.value.exit_code == 3
    with pytest.raises(MissingExtraError):
        twinset.run(recipe(tmp_path, energy="codecarbon"), out=tmp_path / "run", workers=1, quiet=True)
    assert not (tmp_path / "run" / "split.json").exists()
    assert meter_of(None) is meter_of(CostPart()) is None


def recipe(place: Path, **cost: object) -> dict[str, object]:
    if not (place / "real").exists():
        twinset.load("builtin:digits").take(range(100)).export(place / "real", format="imagefolder")
    return {
        "data": str(place / "real"),
        "count": 8,
        "generate": [],
        "edit": [{"use": "mixup"}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off", **({"cost": cost} if cost else {})},
        "gate": {"copies": "off"},
        "export": ["csv"],
    }


def test_a_run_answers_with_what_a_thousand_images_take(tmp_path: Path, tracker: Tracker) -> None:
    written = recipe(tmp_path, price_per_hour=10, price_per_label=0.5, energy="codecarbon")
    done = twinset.run(written, out=tmp_path / "run", workers=1, quiet=True)
    assert done.cost is not None
    assert done.cost.accepted == 8
    again = done.cost.rows["the next 1,000"]
    spent = json.loads((tmp_path / "run" / "timings.json").read_text())
    hours = (spent["generate"] + spent["align"]) / 3600
    assert again.hours == pytest.approx(hours)
    assert again.hours_per_1000 == pytest.approx(125 * hours)
    assert again.price_per_1000 == pytest.approx(1250 * hours)
    assert again.kwh_per_1000 == pytest.approx(2 * 0.125 * 125)
    making, whole = done.cost.rows["making"], done.cost.rows["making and measuring"]
    assert again.hours < making.hours <= whole.hours
    assert making.kwh_per_1000 is not None
    assert whole.kwh_per_1000 is not None
    assert 31.25 < making.kwh_per_1000 < whole.kwh_per_1000
    assert done.cost.labelling_price_per_1000 == 500.0
    shown = words.run(done)
    assert "price 500.00 for labelling 1,000 images by hand" in shown
    assert "31.2 kWh for the next 1,000" in shown
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "What 1,000 accepted images take" in page
    assert "labelling by hand, for reference" in page
    assert twinset.verify(tmp_path / "run", samples=0, quiet=True).ok


def test_a_resumed_run_costs_what_all_its_sittings_took(tmp_path: Path) -> None:
    out = tmp_path / "run"
    written = recipe(tmp_path, price_per_hour=36)
    first = twinset.run(written, out=out, workers=1, quiet=True)
    assert first.cost is not None
    (out / "result.json").unlink()
    spent = json.loads((out / "timings.json").read_text())
    (out / "timings.json").write_text(json.dumps({**spent, "generate": 7200.0, "align": 0.0}))
    again = twinset.resume(out, workers=1, quiet=True)
    assert again.cost is not None
    row = again.cost.rows["the next 1,000"]
    assert row.hours == pytest.approx(2.0, abs=1e-3)
    assert row.price_per_1000 == pytest.approx(36 * 2 * 125, rel=1e-3)


def test_without_prices_hours_alone_are_told(tmp_path: Path) -> None:
    done = twinset.run(recipe(tmp_path), out=tmp_path / "run", workers=1, quiet=True)
    assert done.cost is not None
    assert done.cost.rows["making"].hours_per_1000 is not None
    assert {row.price_per_1000 for row in done.cost.rows.values()} == {None}
    shown = [line for line in words.run(done).splitlines() if line.startswith("cost")]
    assert len(shown) == 3
    assert not any("price" in line or "kWh" in line for line in shown)
    assert "labelling by hand" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_run_of_an_earlier_version_has_no_cost(tmp_path: Path) -> None:
    done = twinset.run(recipe(tmp_path), out=tmp_path / "run", workers=1, quiet=True)
    old = {name: value for name, value in done.model_dump(by_alias=True).items() if name != "cost"}
    assert documents.RunDocument.model_validate(old).cost is None


def test_a_recipe_without_cost_is_the_recipe_it_was() -> None:
    plain = recipe_from_values({"data": "builtin:digits"}).recipe.to_values()
    assert "cost" not in plain["evaluate"]  # type: ignore[operator]
    priced = recipe_from_values({"data": "builtin:digits", "evaluate": {"cost": {"price_per_hour": 2}}}).recipe
    assert priced.digest() == recipe_from_values({"data": "builtin:digits"}).recipe.digest()
    for bad in ({"price_per_hour": -1}, {"price_per_label": float("inf")}, {"energy": "guess"}, {"prize": 1}):
        with pytest.raises(RecipeError, match="evaluate"):
            recipe_from_values({"data": "builtin:digits", "evaluate": {"cost": bad}})
