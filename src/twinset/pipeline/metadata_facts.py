"""The histograms of the report: sizes, places, numbers and looks of objects, real against synthetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from twinset import report
from twinset.alignment.metadata import MEASURES, Bins
from twinset.pipeline.measuring import Measured
from twinset.pipeline.metadata import Metadata, shifts_of
from twinset.pipeline.opening import Run


def metadata_facts(run: Run, measured: Measured) -> report.MetadataFacts | None:
    """Histograms of all measures that could be compared, and what was said of shifts."""
    shifts = shifts_of(run)
    found = measured.metadata
    if found is None:
        return report.MetadataFacts((), shifts=shifts) if shifts else None
    facts = []
    for gap in found.table.gaps:
        bins, scale = found.bins(gap.measure), MEASURES[gap.measure]
        values = {"real": found.real.values(gap.measure)}
        values |= {name: each.values(gap.measure) for name, each in found.sets.items()}
        pooled = np.concatenate(list(values.values()))
        edges = np.concatenate([[pooled.min()], bins.edges, [pooled.max()]])
        counts = {name: bins.counts(each) for name, each in values.items()}
        facts.append(
            report.MeasureFacts(
                gap.measure,
                np.array([scale.original(float(edge)) for edge in edges]),
                {name: count / max(1, count.sum()) for name, count in counts.items()},
                gap.floor,
                dict(gap.distance),
                tuple(name for name, is_at in gap.at_floor.items() if is_at),
                scale.scale == "log",
            )
        )
    images = max((gap.images for gap in found.table.gaps), default=0)
    return report.MetadataFacts(tuple(facts), found.before_is, images, shifts, tuple(_scenes(found)))


def _scenes(found: Metadata) -> Iterator[report.MeasureFacts]:
    """Histograms of what the maker alone knows, on bins of all sets together."""
    for name in MEASURES:
        values = {key: each.values(name) for key, each in found.scenes.items() if name in each.columns}
        if "after" not in values:
            continue
        pooled = np.concatenate(list(values.values()))
        bins, scale = Bins.of(list(values.values()), step=MEASURES[name].step), MEASURES[name]
        edges = np.concatenate([[pooled.min()], bins.edges, [pooled.max()]])
        counts = {key: bins.counts(each) for key, each in values.items()}
        yield report.MeasureFacts(
            name,
            np.array([scale.original(float(edge)) for edge in edges]),
            {key: count / max(1, count.sum()) for key, count in counts.items()},
            float("nan"),
            {},
            logarithmic=scale.scale == "log",
        )
