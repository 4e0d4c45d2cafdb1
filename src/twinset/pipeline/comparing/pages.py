"""What a comparison found, as a document and as a page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinset import __version__, documents, report
from twinset.dataset import Dataset
from twinset.errors import UsageError
from twinset.paths import expanded
from twinset.pipeline import page
from twinset.pipeline.comparing.sources import Sources, name_of
from twinset.pipeline.comparing.utility import Measured
from twinset.pipeline.explaining import Explanation
from twinset.pipeline.parts import arms_part, gate_part, scores_part, verdict_part
from twinset.privacy.gate import GateResult
from twinset.report import render
from twinset.scores import Score
from twinset.store import disk_refusals, temporary_beside

NO_CLASS = "unlabelled or other"


@dataclass(frozen=True, eq=False)
class Side:
    """One set of a comparison: pictures, or ``rows`` of features alone."""

    source: str
    dataset: Dataset | None
    rows: int = 0

    @property
    def count(self) -> int:
        """Images."""
        return self.rows if self.dataset is None else len(self.dataset)

    @property
    def name(self) -> str:
        """For people; no path."""
        return name_of(self.source) if self.dataset is None else self.dataset.name


@dataclass(frozen=True, eq=False)
class Found:
    """What a comparison looked at and found; ``protocol`` says what other numbers must share to be compared."""

    real: Side
    synthetic: Side
    training: Dataset | None
    scores: tuple[Score, ...]
    gate: GateResult | None
    measured: Measured | None
    size: str
    protocol: Mapping[str, str | int]
    warnings: tuple[str, ...]
    explanation: Explanation | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The real images' classes, and one more where some image of either set is in none of them."""
        named = self.real.dataset.classes if self.real.dataset is not None else ()
        rest = any(sum(self._counts(side)) < side.count for side in (self.real, self.synthetic))
        return (*named, NO_CLASS if named else "all") if rest else named

    def facts(self, side: Side, kind: Literal["real", "synthetic"]) -> report.DatasetFacts:
        """Counts of one set by :attr:`classes`; they sum to all its images."""
        counts = self._counts(side)
        if len(self.classes) > len(counts):
            counts = (*counts, side.count - sum(counts))
        return report.DatasetFacts(side.name, kind, {"all": counts}, self.size)

    def _counts(self, side: Side) -> tuple[int, ...]:
        if side.dataset is None or self.real.dataset is None:
            return ()
        counts = side.dataset.class_counts()
        return tuple(counts.get(name, 0) for name in self.real.dataset.classes)


def document_of(found: Found, sources: Sources, report: Path | None, *, seconds: float) -> documents.CompareDocument:
    """The comparison as JSON; ``report`` is where its page goes."""
    gate, measured = None, found.measured
    if found.gate is not None and found.training is not None and found.synthetic.dataset is not None:
        gate = gate_part(found.gate, found.synthetic.dataset, found.training)
    return documents.CompareDocument(
        real=sources.real,
        synthetic=sources.synthetic,
        train=sources.train,
        n_real=found.real.count,
        n_synthetic=found.synthetic.count,
        protocol=dict(found.protocol),
        scores=scores_part(list(found.scores)),
        gate=gate,
        explanation=found.explanation.part if found.explanation is not None else None,
        verdict=verdict_part(measured.verdict) if measured is not None else None,
        utility=arms_part(measured.utility if measured is not None else None),
        report=str(report) if report is not None else None,
        warnings=list(found.warnings),
        seconds=round(seconds, 3),
    )


def place_for(report: Path) -> Path:
    """Where the page goes; a place that cannot be written to is refused now, not after the work."""
    path = expanded(report).resolve()
    if path.is_dir():
        raise UsageError(
            f"expected a file for --report; got the folder {report}", hint=f"--report {report / 'report.html'}"
        )
    with disk_refusals(report, "a page that can be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        trial = temporary_beside(path)
        trial.touch()
        trial.unlink()
    return path


def page_of(found: Found, command: str) -> str:
    """The page; ``command`` makes it again."""
    measured, synthetic = found.measured, found.synthetic.dataset
    gate = None
    if found.gate is not None and found.training is not None and synthetic is not None:
        gate = page.gate(found.gate, synthetic, found.training)
    return render(
        report.ReportData(
            title=f"{found.synthetic.name} compared with {found.real.name}",
            classes=found.classes,
            command=command,
            version=__version__,
            kind="compare",
            created=time.strftime("%Y-%m-%d %H:%M"),
            verdict=page.verdict(measured.verdict) if measured is not None else None,
            datasets=(found.facts(found.real, "real"), found.facts(found.synthetic, "synthetic")),
            metrics=page.metrics(found.scores, found.classes, note="Synthetic images against the real images."),
            utility=page.utility(measured.utility, measured.settings) if measured is not None else None,
            gate=gate,
            explanation=found.explanation.facts if found.explanation is not None else None,
            limits=found.warnings,
        )
    )
