"""Fills the report: what a run measured, with the pictures that show it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinset import __version__, report
from twinset.dataset import SPLITS, UNITS, Dataset
from twinset.evaluation.cost import Cost
from twinset.pipeline import page
from twinset.pipeline.audit_page import privacy_facts
from twinset.pipeline.closing.facts import gap_facts
from twinset.pipeline.closing.record import closing_filters
from twinset.pipeline.curation_facts import curation_facts, taken_out
from twinset.pipeline.fitting import remarks_of, sources_of
from twinset.pipeline.folders import peak_memory_bytes, recipe_of
from twinset.pipeline.gallery_facts import gallery_facts
from twinset.pipeline.making import candidates, reasons_of
from twinset.pipeline.map_facts import map_facts
from twinset.pipeline.measuring import Measured
from twinset.pipeline.metadata_facts import metadata_facts
from twinset.pipeline.opening import Run
from twinset.pipeline.parts import COST_ROWS
from twinset.pipeline.planning import planned
from twinset.pipeline.samples import sample_facts
from twinset.pipeline.thresholds import read_thresholds
from twinset.recipe import Recipe, UsePart
from twinset.release.card import TRAINED
from twinset.store import ShardStore, read_json

SHOWN_REJECTIONS = 120
LET_OUT = {
    "block-unrecorded": "Not blocked: these images record the training images that they show as their parents",
    "report": "Not blocked, since the recipe asks for a report alone",
}
"""By ``gate.copies``: why copies that were found do not keep the twin back."""
HELD_OUT = "Synthetic images against the held-out real images (validation and test)."


@dataclass(frozen=True, eq=False)
class Tried:
    """Everything a run generated, and why what was rejected went."""

    samples: Dataset
    reasons: Mapping[str, str]

    @staticmethod
    def of(run: Run) -> Tried:
        """All tries of a run."""
        return Tried(candidates(run.folder, run.real.dataset.classes), reasons_of(run.folder))

    @property
    def rejected(self) -> int:
        """Tries that a filter refused."""
        return len(self.reasons)


def report_data(
    run: Run, measured: Measured, tried: Tried, spent: Cost, *, command: str, limits: Sequence[str]
) -> report.ReportData:
    """The page of a run."""
    classes = run.real.dataset.classes
    verdict = page.told(measured.verdict)
    return report.ReportData(
        title=f"The synthetic twin of {run.real.facts.name}",
        classes=classes,
        command=command,
        version=__version__,
        trains=TRAINED[run.real.task],
        created=time.strftime("%Y-%m-%d %H:%M"),
        verdict=page.verdict(verdict, measured.utility.metric if measured.utility else "") if verdict else None,
        recipe=recipe_of(run.folder).recipe.without_paths(run.real.facts.name).to_yaml(),
        asked=_asked(run),
        datasets=(_real_facts(run), _synthetic_facts(run, measured)),
        gallery=gallery_facts(run, measured),
        alignment=_alignment(run, measured, tried),
        feature_map=map_facts(run, measured),
        metrics=page.metrics(measured.scores, classes, note=HELD_OUT),
        utility=page.utility(measured.utility, measured.plan.settings) if measured.utility and measured.plan else None,
        metadata=metadata_facts(run, measured),
        curations=curation_facts(sources_of(run.recipe, run.folder)),
        gaps=gap_facts(sources_of(run.recipe, run.folder)),
        samples=sample_facts(measured.samples) if measured.samples else None,
        explanation=measured.explanation.facts if measured.explanation else None,
        rejected=_rejected(tried),
        gate=_gate(run, measured),
        privacy=privacy_facts(measured.audit, measured.accepted, run.real.training) if measured.audit else None,
        fairness=measured.fairness,
        cost=_cost(run, tried, spent),
        limits=tuple(limits),
        environment=_environment(run),
        digests={
            "dataset": measured.digest,
            "real data": run.real.facts.digest,
            "resolved recipe": run.recipe.digest(),
            "run key": run.key,
        },
    )


def _gate(run: Run, measured: Measured) -> report.Gate | None:
    found = measured.gated
    gate = page.gate(found.gate, measured.accepted, run.real.training, blocks=bool(found.blocking))
    if gate is None or gate.passed or gate.blocks:
        return gate
    return replace(gate, sentence=f"{gate.sentence}. {LET_OUT[run.recipe.gate.copies]}")


def _environment(run: Run) -> dict[str, str]:
    values = read_json(run.folder / "environment.json")
    assert isinstance(values, dict)
    return {str(key): str(value) for key, value in values.items()}


def _asked(run: Run) -> tuple[tuple[str, str], ...]:
    recipe = run.recipe
    made_by = ", ".join(part.use for part in (*recipe.generators, *recipe.edit))
    filters = ", ".join(part.use for part in _filters(run)) or "none"
    return (
        ("images to make", str(planned(recipe))),
        ("made by", made_by),
        ("filters", filters),
        ("features", recipe.evaluate.embedder.use),
        ("copy gate", recipe.gate.copies),
        ("privacy audit", _audit_asked(recipe)),
        ("time budget", f"{recipe.minutes:g} min"),
        ("seed", str(recipe.seed)),
    )


def _filters(run: Run) -> tuple[UsePart, ...]:
    """Those of the recipe, and those that the loop kept."""
    return closing_filters(run.recipe, [source.folder for source in sources_of(run.recipe, run.folder)])


def _audit_asked(recipe: Recipe) -> str:
    part = recipe.privacy
    if part is None or not part.audit:
        return "off"
    of = "dataset and generator: " if part.with_generator else ""
    return f"{of}{part.on_leak} on a leak, {part.on_inconclusive} where it is inconclusive"


def _real_facts(run: Run) -> report.DatasetFacts:
    real = run.real
    return report.DatasetFacts(
        name=real.facts.name,
        kind="real",
        counts={split: tuple(real.part(split).label_counts().values()) for split in SPLITS},
        unit=UNITS[real.task],
        pictures={split: len(real.part(split)) for split in SPLITS},
        size=real.facts.size,
        licence=real.facts.licence,
        notes=real.facts.notes,
        problems=_problems(real.facts.problems),
    )


def _problems(problems: Sequence[tuple[str, str]]) -> tuple[report.Problem, ...]:
    """Equal problems together, with a few of the files."""
    places: dict[str, list[str]] = {}
    for path, problem in problems:
        places.setdefault(problem.removeprefix(f"{path}: "), []).append(path)
    return tuple(report.Problem(what, len(paths), tuple(paths[:3])) for what, paths in places.items())


def _synthetic_facts(run: Run, measured: Measured) -> report.DatasetFacts:
    counts = tuple(measured.accepted.label_counts().values())
    return report.DatasetFacts(
        name="synthetic twin",
        kind="synthetic",
        counts={"all": counts},
        unit=UNITS[run.real.task],
        pictures={"all": len(measured.accepted)},
        size=run.real.facts.size.split(",")[0],
        notes=remarks_of(run.recipe, run.folder),
    )


def _alignment(run: Run, measured: Measured, tried: Tried) -> report.AlignmentFacts | None:
    if not _filters(run):
        return None
    store = ShardStore(run.folder)
    plan = store.plan()
    columns: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    before = 0
    for shard in sorted(set(plan.column("shard").to_pylist())):
        judgement = store.judgement(shard)
        assert judgement is not None
        rows = np.arange(before, before + len(judgement.reasons))
        before += len(rows)
        for name, values in judgement.scores.items():
            columns.setdefault(name, []).append((values, rows))
    kept = np.array([id_ not in tried.reasons for id_ in tried.samples.ids], dtype=bool)
    scores = list(taken_out(run.folder))
    cuts = read_thresholds(run.folder)
    for name, parts in columns.items():
        values, judged = (np.concatenate(each) for each in zip(*parts, strict=True))
        cut = cuts.get(name)
        threshold, real = (None, None) if cut is None else (cut.threshold, cut.real)
        scores.append(report.ScoreValues(name, values[kept[judged]], values[~kept[judged]], threshold, real))
    by_class: dict[int, tuple[int, int]] = {}
    for class_id in range(len(tried.samples.classes)):
        mine = tried.samples.class_ids == class_id
        by_class[class_id] = (int((mine & kept).sum()), int((mine & ~kept).sum()))
    names = {score.name for score in measured.before}
    return report.AlignmentFacts(
        judged=len(tried.samples),
        kept=int(kept.sum()),
        reasons=Counter(kind_of(reason) for reason in tried.reasons.values()),
        scores=tuple(scores),
        before=measured.before,
        after=tuple(score for score in measured.scores if score.name in names and score.value is not None),
        by_class=by_class,
    )


def kind_of(reason: str) -> str:
    """A reason without its particulars, for counting.

    >>> kind_of("near copy of train/3/0012.png (distance ratio 0.21)")
    'near copy of a training image'
    """
    for start, kind in (
        ("near copy of", "near copy of a training image"),
        ("the real-trained ensemble", "label contradicted by the real-trained ensemble"),
        ("far from all real", "far from all real images"),
        ("duplicate of", "duplicate of another synthetic image"),
    ):
        if reason.startswith(start):
            return kind
    return reason.partition(" (")[0]


def _rejected(tried: Tried) -> tuple[report.Rejected, ...]:
    """A selection of the rejected pictures, every kind of reason among them."""
    by_kind: dict[str, list[str]] = {}
    for id_, reason in tried.reasons.items():
        by_kind.setdefault(kind_of(reason), []).append(id_)
    share = max(1, SHOWN_REJECTIONS // max(1, len(by_kind)))
    found = []
    for ids in by_kind.values():
        for id_ in ids[:share]:
            row = tried.samples.row_of(id_)
            class_id = int(tried.samples.class_ids[row])
            found.append(
                report.Rejected(
                    page.picture(tried.samples, row), kind_of(tried.reasons[id_]), class_id, tried.reasons[id_]
                )
            )
    return tuple(found)


def _cost(run: Run, tried: Tried, found: Cost) -> report.Cost:
    spent = run.timings.read()
    environment = _environment(run)
    shares = zip(COST_ROWS, (found.making, found.again, found.whole), strict=True)
    return report.Cost(
        stages=tuple(spent.items()),
        hardware=f"{environment['cpu']}, {environment['cores']} cores, {environment['device']}",
        generated=len(tried.samples),
        generation_seconds=spent.get("generate"),
        peak_memory_bytes=peak_memory_bytes(),
        thousand=tuple(
            report.CostOfThousand(name, each.hours_per_thousand, each.price_per_thousand, each.kwh_per_thousand)
            for name, each in shares
            if each.hours_per_thousand is not None
        ),
        labelling=found.labelling_per_thousand,
    )
