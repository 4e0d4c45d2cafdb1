"""What a run curated and took out, as parts of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from twinset import report
from twinset.images import decode
from twinset.pipeline.closing.record import undone
from twinset.pipeline.curating import curated_path
from twinset.pipeline.fitting import Source
from twinset.pipeline.revising import told_in
from twinset.store import read_json


def curation_facts(sources: Sequence[Source]) -> tuple[report.CurationFacts, ...]:
    """The curation of every source that was curated."""
    return tuple(_of_source(source) for source in sources if curated_path(source.folder).exists())


def _of_source(source: Source) -> report.CurationFacts:
    stored = cast("dict[str, object]", read_json(curated_path(source.folder)))
    shapes = cast("list[dict[str, object]]", stored["shapes"])
    lines = cast("dict[str, dict[str, float]]", stored["lines"])
    traits = cast("list[dict[str, object]]", stored["traits"])
    crops = cast("list[dict[str, object]]", stored["crops"])
    known = ("class_name", "shape_id", "objects", "mean", "low", "high", "dropped")
    return report.CurationFacts(
        source=source.use,
        images=int(cast(int, stored["pictures"])),
        shapes=tuple(report.ShapeFacts(**{name: one[name] for name in known}) for one in shapes),  # type: ignore[arg-type]
        lines=tuple((name, line["usual"], line["line"]) for name, line in lines.items()),
        traits=tuple(_trait(one) for one in traits),
        looks=tuple(_look(one, source.folder) for one in crops),
        sentences=tuple(cast("list[str]", stored["sentences"])),
        in_force="curate" not in undone(source.folder),
    )


def _trait(one: Mapping[str, object]) -> report.TraitFacts:
    shapes, dropped = cast(int, one["shapes"]), cast(int, one["dropped"])
    return report.TraitFacts(
        class_name=str(one["class_name"]),
        parameter=str(one["parameter"]),
        value=str(one["value"]),
        dropped=dropped,
        shapes=shapes,
        others_dropped=cast(int, one["all_dropped"]) - dropped,
        others=cast(int, one["all_shapes"]) - shapes,
        mean=cast(float, one["mean"]),
        others_mean=cast(float, one["others"]),
        p_value=cast(float, one["p_value"]),
    )


def _look(one: Mapping[str, object], folder: Path) -> report.ShapeLook:
    path = folder / "shapes" / str(one["file"])
    picture = report.Picture(str(one["shape_id"]), decode(path.read_bytes(), name=str(path)))
    return report.ShapeLook(str(one["class_name"]), bool(one["dropped"]), cast(float, one["score"]), picture)


def taken_out(folder: Path) -> tuple[report.ScoreValues, ...]:
    """The scores of a pilot's objects beside those of real ones, of all that takes far objects out of pictures."""
    found = []
    for path in told_in(folder):
        told = cast("dict[str, object]", read_json(path))
        threshold = cast(float, told["threshold"])
        made, real = (np.array(told[name], dtype=np.float64) for name in ("pilot", "real"))
        far = made > threshold
        found.append(report.ScoreValues("object_distance", made[~far], made[far], threshold, real, "objects"))
    return tuple(found)
