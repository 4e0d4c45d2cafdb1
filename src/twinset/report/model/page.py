"""Everything that one page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from twinset.report.model.answer import Utility, Verdict
from twinset.report.model.copies import Gate
from twinset.report.model.cost import Cost
from twinset.report.model.datasets import AlignmentFacts, DatasetFacts
from twinset.report.model.fairness import FairnessFacts
from twinset.report.model.likeness import FeatureMap, MetricTable
from twinset.report.model.objects import MetadataFacts
from twinset.report.model.pictures import Gallery, Rejected
from twinset.report.model.privacy import PrivacyFacts
from twinset.report.model.samples import SampleFacts
from twinset.report.model.shapes import CurationFacts
from twinset.report.model.steps import GapFacts

if TYPE_CHECKING:
    from twinset.report.explain import ExplanationFacts


@dataclass(frozen=True)
class ReportData:
    """Everything one page shows. ``command`` reproduces it; ``recipe`` is the recipe as written (YAML).

    ``asked`` are the main settings as (name, value); ``limits`` are sentences that only the pipeline can know,
    beside those that :mod:`twinset.report.limits` derives; ``trains`` is what is trained to measure usefulness;
    ``environment`` and ``digests`` map names to values.
    ``rejected`` may be a selection, ``alignment.reasons`` has the full counts.
    """

    title: str
    classes: tuple[str, ...]
    command: str
    version: str
    kind: Literal["run", "compare", "audit"] = "run"
    trains: str = "classifier"
    created: str = ""
    verdict: Verdict | None = None
    recipe: str = ""
    asked: tuple[tuple[str, str], ...] = ()
    datasets: tuple[DatasetFacts, ...] = ()
    gallery: Gallery | None = None
    alignment: AlignmentFacts | None = None
    feature_map: FeatureMap | None = None
    metrics: tuple[MetricTable, ...] = ()
    utility: Utility | None = None
    metadata: MetadataFacts | None = None
    gaps: tuple[GapFacts, ...] = ()
    curations: tuple[CurationFacts, ...] = ()
    samples: SampleFacts | None = None
    explanation: ExplanationFacts | None = None
    rejected: tuple[Rejected, ...] = ()
    gate: Gate | None = None
    privacy: PrivacyFacts | None = None
    fairness: FairnessFacts | None = None
    cost: Cost | None = None
    limits: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.classes)
        for facts in self.datasets:
            for split, counts in facts.counts.items():
                if len(counts) != n:
                    raise ValueError(f"{facts.name}, {split}: expected {n} class counts; got {len(counts)}")
        if self.gallery is not None and any(
            grid.class_id is not None and not 0 <= grid.class_id < n for grid in self.gallery.grids
        ):
            raise ValueError(f"expected grids of class ids below {n}; got {[g.class_id for g in self.gallery.grids]}")

    def class_name(self, class_id: int | None) -> str:
        """The name of a class, or a dash where there is no label."""
        return self.classes[class_id] if class_id is not None and 0 <= class_id < len(self.classes) else "–"

    def to_json(self) -> dict[str, object]:
        """The same content as plain JSON types, ``schema: twinset/report/1``; a picture becomes id, size and sha256."""
        from twinset.report.plain import plain

        content = plain(self)
        assert isinstance(content, dict)
        return {"schema": "twinset/report/1", **content}
