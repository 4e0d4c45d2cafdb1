"""The sets and steps of `benchmarks/gap.py`: what is exposed, what held out, and how each step renders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from detection import parts
from numpy.typing import NDArray

from alignment import BLOCK, blocks, pairs
from twinset.dataset import Dataset
from twinset.downstream.placed_cells import PlacedSettings
from twinset.formats import read
from twinset.generators.rendering.settings import Follow, Rendering
from twinset.generators.rendering.shape_sources import ShapeSource

Then = Literal["nothing", "curate", "filter", "evolve"]
"""What a step does to what its settings make."""


@dataclass(frozen=True)
class GapSet:
    """One dataset: the frozen baseline, what stands on its ground, how its objects are lit, and its detectors, of
    which `both` are the first two.
    """

    baseline: Rendering
    surface: Mapping[str, object]
    look: Mapping[str, object]
    procedural: Literal["slide", "road"]
    detectors: Mapping[str, PlacedSettings]
    images: int
    block: int = field(default=1)
    """Consecutive test images that are resampled together."""


def _cells(*kinds: str) -> ShapeSource:
    return ShapeSource(family="cell", limits={"kind": kinds})


def _cars(*bodies: str) -> ShapeSource:
    return ShapeSource(family="car", limits={"body": bodies})


NAIVE = Rendering(placement="free", count=(1, 20), size=(0.05, 0.4), maps=())
"""The baseline but for its shapes: objects float, turned anyhow, of all sizes, before real pictures with their objects
filled in; every class as often as the others."""

SETS = {
    "bccd": GapSet(
        replace(
            NAIVE,
            shapes={
                "RBC": _cells("disc", "flat", "target", "cup", "sphere"),
                "WBC": _cells("eosinophil", "neutrophil-3", "neutrophil-4", "band", "monocyte", "lymphocyte"),
                "Platelets": _cells("platelet", "giant-platelet", "platelet-clump"),
            },
        ),
        surface={"elevation_degrees": (80.0, 90.0), "roll_degrees": (-180.0, 180.0), "gap": -0.35, "balance": 0.0},
        look={
            "sun_elevation_degrees": (84.0, 90.0),
            "sun_strength": (0.5, 1.0),
            "ambient": (0.8, 1.1),
            "blur": (0.6, 1.4),
            "noise": (0.0, 3.0),
        },
        procedural="slide",
        detectors={
            "dense": PlacedSettings(240, 320, 3, steps=600, turn=True),
            "narrow": PlacedSettings(240, 320, 3, steps=600, network_width=8, turn=True),
            "ssdlite": PlacedSettings(240, 320, 3, steps=200, turn=True, model="ssdlite320_mobilenet_v3_large"),
        },
        images=400,
    ),
    "aerial_cars": GapSet(
        replace(
            NAIVE,
            shapes={
                "car": "car",
                "truck": _cars("pickup", "van"),
                "bus": "bus",
                "minibus": _cars("van"),
                "cyclist": "none",
            },
        ),
        surface={"elevation_degrees": (65.0, 90.0), "roll_degrees": (-180.0, 180.0), "balance": 0.0},
        look={
            "sun_elevation_degrees": (35.0, 60.0),
            "sun_strength": (0.8, 1.8),
            "ambient": (0.35, 0.7),
            "blur": (0.6, 1.2),
        },
        procedural="road",
        detectors={
            "dense": PlacedSettings(544, 960, 3, steps=500, stride=4, turn=True, crop=(256, 320)),
            "narrow": PlacedSettings(544, 960, 3, steps=600, stride=8, network_width=8, turn=True, crop=(320, 480)),
        },
        images=200,
        block=BLOCK,
    ),
}


@dataclass(frozen=True)
class Step:
    """One step: what it changes of the settings of the step ``after`` it comes, and what it does besides."""

    after: str | None
    change: Callable[[Rendering, GapSet], Rendering]
    then: Then = "nothing"


def _same(settings: Rendering, chosen: GapSet) -> Rendering:
    del chosen
    return settings


def _surface(settings: Rendering, chosen: GapSet) -> Rendering:
    return replace(_following("position")(settings, chosen), **chosen.surface)  # type: ignore[arg-type]


def _following(*names: Follow) -> Callable[[Rendering, GapSet], Rendering]:
    def change(settings: Rendering, chosen: GapSet) -> Rendering:
        del chosen
        return replace(settings, placement="surface", follow=(*settings.follow, *names))

    return change


def _look(settings: Rendering, chosen: GapSet) -> Rendering:
    return replace(settings, **chosen.look)  # type: ignore[arg-type]


def _close(settings: Rendering, chosen: GapSet) -> Rendering:
    del chosen
    return replace(settings, close_ups=0.2)


def _filled(settings: Rendering, chosen: GapSet) -> Rendering:
    del chosen
    return replace(settings, fill="alike")


def _behind(name: Literal["white", "procedural"]) -> Callable[[Rendering, GapSet], Rendering]:
    def change(settings: Rendering, chosen: GapSet) -> Rendering:
        return replace(settings, backdrop=chosen.procedural if name == "procedural" else "white")

    return change


STEPS: Mapping[str, Step] = {
    "baseline": Step(None, _same),
    "surface": Step("baseline", _surface),
    "background": Step("surface", _look),
    "area": Step("background", _following("area")),
    "aspect+count": Step("area", _following("aspect", "count")),
    "shapes": Step("aspect+count", _same, "curate"),
    "filter": Step("shapes", _same, "filter"),
    "evolution": Step("filter", _same, "evolve"),
    "close-ups": Step("aspect+count", _close),
    "filled": Step("aspect+count", _filled),
    "procedural": Step("aspect+count", _behind("procedural")),
    "white": Step("aspect+count", _behind("white")),
}
"""The steps in order. Each builds on the one it comes after."""

BESIDE = ("close-ups", "filled", "procedural", "white")
"""Steps beside the chain, one change each: what they change is far from the exposed images on purpose."""


def settings_of(step: str, chosen: GapSet) -> Rendering:
    """The settings of a step: its own change after those of all before it."""
    one = STEPS[step]
    before = chosen.baseline if one.after is None else settings_of(one.after, chosen)
    return one.change(before, chosen)


def done_by(step: str) -> tuple[Then, ...]:
    """What is done besides at this step and all before it, in order."""
    one = STEPS[step]
    before = () if one.after is None else done_by(one.after)
    return before if one.then == "nothing" else (*before, one.then)


def curated_on(step: str) -> str | None:
    """The step whose pictures showed which shapes to leave out at this one; None before any were."""
    one = STEPS[step]
    if one.after is None or one.then == "curate":
        return one.after
    return curated_on(one.after)


@dataclass(frozen=True, eq=False)
class Halves:
    """Exposed images, for distributions and references; those of them that validate; held-out ones with families."""

    exposed: Dataset
    training: Dataset
    validation: Dataset
    held: Dataset
    families: NDArray[np.int64]


def halves_of(data: Path, name: str) -> Halves:
    """bccd as it is split; aerial_cars by blocks of consecutive frames of each flight, exposed and held out in turn."""
    if name == "bccd":
        found = parts(data, name)
        return Halves(found["train"], found["train"], found["validation"], found["test"], np.arange(len(found["test"])))
    exposed, held, families = pairs(data, "flights")
    whole, _ = read(data / "aerial_cars", on_bad_input="skip")
    block = dict(zip(whole.ids, blocks(whole).tolist(), strict=True))
    fourth = np.array([block[id_] // 2 % 4 == 3 for id_ in exposed.ids])
    return Halves(exposed, exposed.where(~fourth), exposed.where(fourth), held, families)
