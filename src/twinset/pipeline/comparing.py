"""Judges synthetic images against real ones, whoever made them: no run folder, no recipe."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinset import __version__, documents, methods
from twinset import report as page
from twinset.dataset import Dataset
from twinset.downstream import Utility, UtilityData, UtilityPlan, Verdict, choose_settings, decide
from twinset.embedding.embedder import EmbedderMethod, embed_dataset
from twinset.embedding.self_trained import SelfTrained
from twinset.errors import DataError, UsageError
from twinset.evaluation import fidelity
from twinset.executors.local import LocalProcesses
from twinset.families import families
from twinset.formats import read
from twinset.images import ImageSpec
from twinset.pipeline.measuring import study
from twinset.pipeline.real import choose_spec
from twinset.pipeline.releasing import arms_part, scores_part
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import source_of
from twinset.privacy.gate import GateResult, copy_gate
from twinset.randomness import Stream
from twinset.recipe import ImagePart
from twinset.scores import Score
from twinset.splits import split
from twinset.stages import Embedder
from twinset.store import write_bytes
from twinset.threads import available_cores, torch_threads

UTILITY_SECONDS = 300.0


@dataclass(frozen=True, eq=False)
class Compared:
    """Scores of a comparison and, with training images, the copy gate."""

    scores: list[Score]
    gate: GateResult | None
    extractor: str


def embedder_named(text: str) -> EmbedderMethod:
    """``random``, ``self``, or ``NAME:PATH`` of pretrained weights, as ``--embedder`` takes it."""
    name, colon, path = text.partition(":")
    if colon:
        method = methods.build("embedders", "pretrained", {"name": name, "path": path}, where="--embedder")
    else:
        method = methods.build("embedders", name, {}, where="--embedder")
    return method  # type: ignore[return-value]


def compare_datasets(
    real: Dataset,
    synthetic: Dataset,
    *,
    training: Dataset | None,
    embedder: str,
    rng: Stream,
    spec: ImageSpec | None = None,
) -> Compared:
    """Fidelity, diversity and detectability; with ``training`` also nearest records and the copy gate."""
    spec = spec or choose_spec(ImagePart(), real)[0]
    method = embedder_named(embedder)
    if isinstance(method, SelfTrained) and training is None:
        raise UsageError("expected --train with --embedder self; got none", hint="or use --embedder random")
    used: Embedder = method.fit(training if training is not None else real, spec=spec, rng=rng.child("embedder"))

    def features(dataset: Dataset) -> np.ndarray:
        return embed_dataset(used, dataset, spec=spec)

    saw = bool(used.fitted_on)
    held, made = features(real), features(synthetic)
    shown = features(training) if training is not None and not saw else None
    scores = fidelity(
        held,
        made,
        extractor=used.name,
        rng=rng.child("fidelity"),
        train=shown,
        holdout=held if shown is not None else None,
        extractor_saw_real=saw,
    )
    if training is None or saw:
        scores = [score for score in scores if not score.name.startswith("nearest_record")]
    gate = None
    if training is not None:
        labelled = bool(
            (training.class_ids >= 0).all() and (real.class_ids >= 0).all() and training.classes == real.classes
        )
        images = synthetic.prepared(spec)
        gate = copy_gate(
            candidates=images,
            accepted=images,
            training=training.prepared(spec),
            holdout=real.prepared(spec),
            training_classes=training.class_ids if labelled else None,
            holdout_classes=real.class_ids if labelled else None,
        )
    return Compared(scores, gate, used.name)


def compare(
    real: str,
    synthetic: str,
    *,
    train: str | None,
    utility: bool,
    embedder: str,
    report: Path | None,
    seed: int,
    workers: int | None,
    listener: Listener,
) -> documents.CompareDocument:
    """The comparison as a document; ``report`` also writes a page."""
    began = time.monotonic()
    rng = Stream(seed).child("compare")
    held, made = _load(real), _load(synthetic)
    shown = _load(train) if train is not None else None
    warnings = []
    if utility and (shown is None or (held.class_ids < 0).any() or (made.class_ids < 0).any()):
        raise UsageError(
            "expected --train and labelled images on all sides with --utility; got less",
            hint="give the real training images as --train, in class folders",
        )
    spec, size = choose_spec(ImagePart(), held)
    listener.stage("fidelity")
    with torch_threads(1):
        found = compare_datasets(held, made, training=shown, embedder=embedder, rng=rng, spec=spec)
    outcome: Utility | None = None
    verdict: Verdict | None = None
    if utility:
        assert shown is not None
        outcome = _utility(shown, held, made, spec, seed, LocalProcesses(workers or available_cores()), listener)
        failure = "; ".join(found.gate.reasons) if found.gate is not None and not found.gate.passed else ""
        verdict = decide(outcome, gate_failure=failure)
    elif shown is None:
        warnings.append("without --train neither copies nor utility can be measured")
    document = documents.CompareDocument(
        real=real,
        synthetic=synthetic,
        train=train,
        n_real=len(held),
        n_synthetic=len(made),
        scores=scores_part(found.scores),
        gate=_gate_part(found.gate, made, shown),
        verdict=_verdict_part(verdict),
        utility=arms_part(outcome),
        report=str(report) if report is not None else None,
        warnings=warnings,
        seconds=round(time.monotonic() - began, 3),
    )
    if report is not None:
        _write_report(report, document, found.scores, held, made, size)
    return document


def _load(source: str) -> Dataset:
    dataset, _ = read(source_of(source), on_bad_input="refuse")
    return dataset


def _gate_part(gate: GateResult | None, made: Dataset, shown: Dataset | None) -> documents.GatePart | None:
    if gate is None or shown is None:
        return None
    pairs: list[dict[str, str | float | None]] = [
        {
            "synthetic": made.ids[pair.synthetic],
            "training": shown.ids[pair.training],
            "distance": pair.distance,
            "ratio": pair.ratio,
        }
        for pair in gate.pairs[:50]
    ]
    return documents.GatePart(passed=gate.passed, reasons=list(gate.reasons), pairs=pairs)


def _verdict_part(verdict: Verdict | None) -> documents.VerdictPart | None:
    if verdict is None:
        return None
    found = verdict.difference
    difference = documents.Difference(value=found.value, low=found.low, high=found.high) if found else None
    return documents.VerdictPart(decision=verdict.decision, sentence=verdict.sentence, difference=difference)


def _utility(
    shown: Dataset,
    held: Dataset,
    made: Dataset,
    spec: ImageSpec,
    seed: int,
    executor: LocalProcesses,
    listener: Listener,
) -> Utility:
    """Trains on ``shown`` with and without ``made``; half of ``held`` picks, the other half tests."""
    names = _same_classes(shown, held, made)
    kept = held.with_splits([None] * len(held))
    parts = split(kept, families=families(kept), fractions=(0.3, 0.2, 0.5), rng=Stream(seed).child("compare", "split"))
    picking = np.concatenate([parts.train.class_ids, parts.validation.class_ids])
    data = UtilityData(
        n_classes=len(names),
        train_images=shown.prepared(spec),
        train_labels=shown.class_ids,
        validation_images=np.concatenate([parts.train.prepared(spec), parts.validation.prepared(spec)]),
        validation_labels=picking,
        test_images=parts.test.prepared(spec),
        test_labels=parts.test.class_ids,
        test_families=parts.test_families,
        synthetic_images=made.prepared(spec),
        synthetic_targets=made.class_ids,
    )
    settings = choose_settings(
        spec,
        list(shown.class_counts().values()),
        seconds=UTILITY_SECONDS,
        workers=executor.workers,
        cells=27,
        n_evaluate=len(picking) + len(parts.test),
    )
    plan = UtilityPlan(settings, seed=seed, synthetic=len(made) > 0)
    with tempfile.TemporaryDirectory(prefix="twinset-compare-") as folder:
        return study(data, plan, folder=Path(folder), executor=executor, listener=listener)


def _same_classes(*datasets: Dataset) -> Sequence[str]:
    if len({dataset.classes for dataset in datasets}) > 1:
        listed = "; ".join(", ".join(dataset.classes[:8]) for dataset in datasets)
        raise DataError(
            f"expected the same classes in all datasets; got {listed}",
            hint="rename the class folders so that they agree",
        )
    return datasets[0].classes


def _write_report(
    path: Path, document: documents.CompareDocument, scores: Sequence[Score], held: Dataset, made: Dataset, size: str
) -> None:
    classes = held.classes or ("all",)

    def facts(dataset: Dataset, kind: str) -> page.DatasetFacts:
        counts = tuple(dataset.class_counts().get(name, 0) for name in classes) if held.classes else (len(dataset),)
        return page.DatasetFacts(dataset.name, kind, {"all": counts}, size)  # type: ignore[arg-type]

    data = page.ReportData(
        title=f"{Path(document.synthetic).name} compared with {Path(document.real).name}",
        classes=classes,
        command=f"twinset compare {document.real} {document.synthetic}",
        version=__version__,
        kind="compare",
        created=time.strftime("%Y-%m-%d %H:%M"),
        datasets=(facts(held, "real"), facts(made, "synthetic")),
        metrics=(page.MetricTable("Fidelity and diversity", tuple(scores)),),
        limits=tuple(document.warnings),
    )
    write_bytes(path.expanduser().resolve(), page.render(data).encode())
