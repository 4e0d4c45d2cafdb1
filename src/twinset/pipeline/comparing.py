"""Judges synthetic images against real ones, whoever made them: no run folder, no recipe."""

from __future__ import annotations

import shlex
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from twinset import __version__, documents, methods, report
from twinset.copytest import Known
from twinset.dataset import Dataset
from twinset.downstream import Utility, UtilityPlan, Verdict, choose_settings, decide
from twinset.embedding.embedder import EmbedderMethod, embed_dataset
from twinset.embedding.self_trained import SelfTrained
from twinset.errors import DataError, UsageError
from twinset.evaluation import fidelity
from twinset.executors.local import LocalProcesses
from twinset.families import families
from twinset.formats import read
from twinset.images import ImageSpec
from twinset.models.classical import flip_is_safe
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import page
from twinset.pipeline.held_out import copies_in
from twinset.pipeline.measuring import study, utility_data, utility_plan
from twinset.pipeline.parts import arms_part, gate_part, scores_part, verdict_part
from twinset.pipeline.real import choose_spec
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import source_of
from twinset.privacy.gate import GateResult, copy_gate
from twinset.privacy.lineage import parent_rows
from twinset.randomness import Stream
from twinset.recipe import ImagePart, UtilityPart, expanded
from twinset.report import render
from twinset.scores import Score
from twinset.splits import Split, split
from twinset.stages import Embedder
from twinset.store import disk_refusals, temporary_beside, write_bytes
from twinset.threads import available_cores, torch_threads

UTILITY_SECONDS = 300.0
NO_CLASS = "unlabelled or other"


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


def fidelity_of(
    real: Dataset, synthetic: Dataset, *, training: Dataset | None, embedder: str, rng: Stream, spec: ImageSpec
) -> tuple[list[Score], str]:
    """Fidelity, diversity, detectability and, with ``training``, nearest records; and the extractor of the features."""
    for name, dataset in (("real", real), ("synthetic", synthetic)):
        if not len(dataset):
            raise DataError(f"expected at least one {name} image to compare; got none", hint="what rejected them all?")
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
        real_families=families(real),
    )
    if training is None or saw:
        scores = [score for score in scores if not score.name.startswith("nearest_record")]
    return scores, used.name


def gate_of(real: Dataset, synthetic: Dataset, *, training: Dataset, spec: ImageSpec) -> GateResult:
    """The copy gate on images that somebody made from ``training``."""
    labelled = bool(
        (training.class_ids >= 0).all() and (real.class_ids >= 0).all() and training.classes == real.classes
    )
    images = synthetic.prepared(spec)
    return copy_gate(
        candidates=images,
        accepted=images,
        training=training.prepared(spec),
        holdout=real.prepared(spec),
        of_training=Known(classes=training.class_ids if labelled else None),
        of_holdout=Known(classes=real.class_ids if labelled else None),
        parents=parent_rows(synthetic, training),
    )


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
    embedder_named(embedder)
    page_path = _place_for(report) if report is not None else None
    sets = _read_sets(real, synthetic, train, utility=utility)
    comparison = _compared(sets, embedder=embedder, seed=seed, listener=listener)
    if utility:
        comparison = _with_utility(comparison, seed=seed, workers=workers or available_cores(), listener=listener)
    document = _document(comparison, (real, synthetic, train), report, seconds=time.monotonic() - began)
    if page_path is not None:
        command = _command(real, synthetic, train=train, utility=utility, embedder=embedder, seed=seed)
        write_bytes(page_path, render(_report_data(comparison, command=command)).encode())
    return document


@dataclass(frozen=True, eq=False)
class _Sets:
    """The images of a comparison: real ones that nothing was trained on, synthetic ones, and exposed ones if given."""

    held: Dataset
    made: Dataset
    shown: Dataset | None
    warnings: tuple[str, ...]


def _read_sets(real: str, synthetic: str, train: str | None, *, utility: bool) -> _Sets:
    """All that is compared; real images that are training images too are left out."""
    held, made = _load(real), _load(synthetic)
    shown = _load(train) if train is not None else None
    if utility and (shown is None or any((dataset.class_ids < 0).any() for dataset in (shown, held, made))):
        raise UsageError(
            "expected --train and labelled images on all sides with --utility; got less",
            hint="give the real training images as --train, in class folders",
        )
    warnings = []
    if shown is None:
        warnings.append("without --train neither copies nor utility can be measured")
    else:
        held, shared = _without(held, shown)
        if shared:
            warnings.append(f"{shared} real images are training images too (up to near duplicates) and were left out")
    if held.classes and made.classes and set(held.classes) != set(made.classes):
        warnings.append("the two sets have different classes")
    return _Sets(held, made, shown, tuple(warnings))


def _compared(sets: _Sets, *, embedder: str, seed: int, listener: Listener) -> _Comparison:
    """Fidelity and, with training images, the copy gate."""
    held, made, shown = sets.held, sets.made, sets.shown
    spec, size = choose_spec(ImagePart(), held)
    listener.stage("fidelity")
    with torch_threads(1):
        rng = Stream(seed).child("compare")
        scores, extractor = fidelity_of(held, made, training=shown, embedder=embedder, rng=rng, spec=spec)
        gate = gate_of(held, made, training=shown, spec=spec) if shown is not None else None
    return _Comparison(sets, Compared(scores, gate, extractor), spec, size)


def _document(
    comparison: _Comparison, sources: tuple[str, str, str | None], report: Path | None, *, seconds: float
) -> documents.CompareDocument:
    """The comparison of these real, synthetic and training images."""
    sets, found, measured = comparison.sets, comparison.found, comparison.measured
    real, synthetic, train = sources
    return documents.CompareDocument(
        real=real,
        synthetic=synthetic,
        train=train,
        n_real=len(sets.held),
        n_synthetic=len(sets.made),
        scores=scores_part(found.scores),
        gate=gate_part(found.gate, sets.made, sets.shown)
        if found.gate is not None and sets.shown is not None
        else None,
        verdict=verdict_part(measured.verdict) if measured is not None else None,
        utility=arms_part(measured.utility if measured is not None else None),
        report=str(report) if report is not None else None,
        warnings=list(sets.warnings),
        seconds=round(seconds, 3),
    )


def _place_for(report: Path) -> Path:
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


def _command(real: str, synthetic: str, *, train: str | None, utility: bool, embedder: str, seed: int) -> str:
    """What makes the page again, with names in place of paths."""
    words = ["twinset", "compare", _name(real), _name(synthetic)]
    words += ["--train", _name(train)] if train is not None else []
    words += ["--utility"] if utility else []
    name, colon, _ = embedder.partition(":")
    words += ["--embedder", f"{name}:FILE" if colon else name, "--seed", str(seed)]
    return shlex.join(words)


def _name(source: str) -> str:
    """A dataset as it may stand on a page that others read."""
    return source if source.startswith("builtin:") else Path(source).resolve().name


def _load(source: str) -> Dataset:
    dataset, _ = read(source_of(source), on_bad_input="refuse")
    return dataset


def _without(held: Dataset, shown: Dataset) -> tuple[Dataset, int]:
    """The held-out images that are no near duplicates of training images, and how many were."""
    shared = np.isin(np.arange(len(held)), list(copies_in(held, shown)))
    if shared.all():
        raise DataError(
            f"{held.name}: expected real images beside the training images; got the training images again",
            hint="give real images that nothing was trained on",
        )
    return held.where(~shared), int(shared.sum())


@dataclass(frozen=True, eq=False)
class _Measured:
    """A utility study with its verdict."""

    utility: Utility
    settings: ClassifierSettings
    verdict: Verdict


def _with_utility(comparison: _Comparison, *, seed: int, workers: int, listener: Listener) -> _Comparison:
    """Trains on the exposed images with and without the synthetic; half of the held-out picks, the other half tests."""
    sets, spec, gate = comparison.sets, comparison.spec, comparison.found.gate
    assert sets.shown is not None
    _check_classes(sets.shown, sets.held, sets.made)
    parts = _halves(sets.held, seed)
    data = utility_data(
        train=sets.shown,
        validation=parts.train.concat(parts.validation),
        test=parts.test,
        test_families=parts.test_families,
        synthetic=sets.made,
        spec=spec,
    )
    settings = choose_settings(
        spec,
        list(sets.shown.class_counts().values()),
        seconds=UTILITY_SECONDS,
        workers=workers,
        cells=UtilityPlan(ClassifierSettings(), seed=seed).cell_count,
        n_evaluate=len(sets.held),
    )
    flip = len(sets.shown) > 1 and flip_is_safe(data.train_images, data.train_labels)
    part = UtilityPart(steps=settings.steps, width=settings.width, batch=settings.batch, flip=flip)
    plan = utility_plan(part, data, seed=seed)
    with tempfile.TemporaryDirectory(prefix="twinset-compare-") as folder:
        found = study(data, plan, folder=Path(folder), executor=LocalProcesses(workers), listener=listener)
    failure = "; ".join(gate.reasons) if gate is not None and not gate.passed else ""
    return replace(comparison, measured=_Measured(found, plan.settings, decide(found, gate_failure=failure)))


def _halves(held: Dataset, seed: int) -> Split:
    """Half of ``held`` as test, half as train and validation; splits that it came with do not count here."""
    free = held.with_splits([None] * len(held))
    try:
        return split(
            free, families=families(free), fractions=(0.3, 0.2, 0.5), rng=Stream(seed).child("compare", "split")
        )
    except DataError as error:
        raise DataError(
            f"{held.name}: expected real images of every class to pick on, and others to test on; got {len(held)} "
            f"images of {len(held.classes)} classes",
            hint="give more real images, or leave out --utility",
        ) from error


def _check_classes(*datasets: Dataset) -> None:
    if len({dataset.classes for dataset in datasets}) > 1:
        listed = "; ".join(", ".join(dataset.classes[:8]) for dataset in datasets)
        raise DataError(
            f"expected the same classes in all datasets; got {listed}",
            hint="rename the class folders so that they agree",
        )


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What a comparison looked at and found; ``size`` says, for people, at which size ``spec`` compares."""

    sets: _Sets
    found: Compared
    spec: ImageSpec
    size: str
    measured: _Measured | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The real images' classes, and one more where some image of either set is in none of them."""
        held = self.sets.held
        rest = any(sum(self._counts(dataset)) < len(dataset) for dataset in (held, self.sets.made))
        return (*held.classes, NO_CLASS if held.classes else "all") if rest else held.classes

    def facts(self, dataset: Dataset, kind: Literal["real", "synthetic"]) -> report.DatasetFacts:
        """Counts of one set by :attr:`classes`; they sum to all its images."""
        counts = self._counts(dataset)
        if len(self.classes) > len(counts):
            counts = (*counts, len(dataset) - sum(counts))
        return report.DatasetFacts(dataset.name, kind, {"all": counts}, self.size)

    def _counts(self, dataset: Dataset) -> tuple[int, ...]:
        return tuple(dataset.class_counts().get(name, 0) for name in self.sets.held.classes)


def _report_data(comparison: _Comparison, *, command: str) -> report.ReportData:
    sets, found, measured = comparison.sets, comparison.found, comparison.measured
    gate, shown = found.gate, sets.shown
    classes = comparison.classes
    return report.ReportData(
        title=f"{sets.made.name} compared with {sets.held.name}",
        classes=classes,
        command=command,
        version=__version__,
        kind="compare",
        created=time.strftime("%Y-%m-%d %H:%M"),
        verdict=page.verdict(measured.verdict) if measured is not None else None,
        datasets=(comparison.facts(sets.held, "real"), comparison.facts(sets.made, "synthetic")),
        metrics=page.metrics(found.scores, classes, note="Synthetic images against the real images."),
        utility=page.utility(measured.utility, measured.settings) if measured is not None else None,
        gate=page.gate(gate, sets.made, shown) if gate is not None and shown is not None else None,
        limits=sets.warnings,
    )
