"""``twinset audit`` of all that may be released: the dataset, the generator, a classifier; on one split of real images.

Each release has an attacker of its own and an answer of its own. The training and held-out images that testify, and
the blind baseline, are the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from twinset import __version__, documents
from twinset.copying import SIDE
from twinset.dataset import Dataset
from twinset.errors import DataError, UsageError
from twinset.images import ImageSpec, PixelBatch
from twinset.models.diffusion import MODEL_FILE, DiffusionModel
from twinset.pipeline import auditing
from twinset.pipeline.auditing import Audited, AuditQuestion
from twinset.pipeline.classifying import load_classifier
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import load
from twinset.privacy.audit.dataset_release import BlindBaseline, DatasetRelease
from twinset.privacy.audit.model_release import FEWEST_UNITS, RELEASES, ModelAudit, Release, Targets
from twinset.privacy.audit.witnesses import Witnesses, neither, witnesses
from twinset.randomness import Stream
from twinset.recipe import expanded
from twinset.threads import torch_threads

EXIT_CODES = {"no_leakage_detected": 0, "inconclusive": 5, "leak_found": 6}


@dataclass(frozen=True)
class Released:
    """What is to be audited, by the words of the command line; ``releases`` None: whatever was given."""

    run: Path | None = None
    synthetic: str | None = None
    train: str | None = None
    holdout: str | None = None
    reference: str | None = None
    generator: Path | None = None
    classifier: Path | None = None
    releases: Sequence[str] | None = None

    def asked(self) -> tuple[Release, ...]:
        """The releases in order; :class:`UsageError` for unknown ones, or such as there is nothing to audit of."""
        given = {
            "dataset": self.run is not None or self.synthetic is not None,
            "generator": self.generator is not None,
            "classifier": self.classifier is not None,
        }
        if self.releases is None:
            return tuple(name for name in RELEASES if given[name]) or ("dataset",)
        unknown = [name for name in self.releases if name not in RELEASES]
        if unknown or not self.releases:
            got = ", ".join(unknown) or "none"
            raise UsageError(f"expected --release out of {', '.join(RELEASES)}, between commas; got {got}")
        if "classifier" in self.releases and not given["classifier"]:
            raise UsageError(
                "expected --classifier with --release classifier; got none",
                hint="a run keeps none; `twinset fit-classifier DATASET --out FILE` trains one on what it released",
            )
        if "generator" in self.releases and not given["generator"] and self.run is None:
            raise UsageError("expected --generator, or a run, with --release generator; got neither")
        return tuple(name for name in RELEASES if name in self.releases)


def audit(released: Released, *, question: AuditQuestion, listener: Listener) -> documents.AuditDocument:
    """The audit of every release that was asked for.

    :class:`UsageError` where something is missing for it, :class:`DataError` for too few images.
    """
    began = time.perf_counter()
    asked = released.asked()
    audited = _audited(released, asked, question, listener)
    document = (
        auditing.examine(audited, question, listener) if "dataset" in asked else _without_dataset(audited, question)
    )
    models = [name for name in asked if name != "dataset"]
    if not models:
        return document
    with torch_threads(1):
        parts, warnings = _models(audited, models, released, document.dataset, question, listener)
    return document.model_copy(
        update={
            **parts,
            "warnings": [*document.warnings, *warnings],
            "seconds": time.perf_counter() - began,
        }
    )


def answers(document: documents.AuditDocument) -> dict[str, str]:
    """The answer of every release that was audited."""
    parts = {
        "dataset": document.dataset,
        "objects": document.objects,
        "generator": document.generator,
        "classifier": document.classifier,
    }
    return {name: part.answer for name, part in parts.items() if part is not None}


def exit_code(document: documents.AuditDocument) -> int:
    """That of the worst answer."""
    return max(EXIT_CODES[answer] for answer in answers(document).values())


def _audited(released: Released, asked: Sequence[Release], question: AuditQuestion, listener: Listener) -> Audited:
    """The sets; where no dataset is audited there need be no synthetic images."""
    sets = released.synthetic, released.train, released.holdout, released.reference
    if "dataset" in asked or released.run is not None or released.synthetic is not None:
        return auditing._audited(released.run, *sets, question, listener)
    if released.train is None or released.holdout is None:
        raise UsageError(
            "expected --train and --holdout; got less", hint="held-out images are real ones that nothing was made from"
        )
    shown, held = (load(each, on_bad_input=question.on_bad_input) for each in (released.train, released.holdout))
    known = auditing._known(shown, held)
    beside = None if released.reference is None else load(released.reference, on_bad_input=question.on_bad_input)
    nothing = shown.take(range(0))
    return Audited("", nothing, shown, held, beside, auditing._spec(shown), *known)


def _without_dataset(audited: Audited, question: AuditQuestion) -> documents.AuditDocument:
    return documents.AuditDocument(
        synthetic=audited.name,
        n_synthetic=len(audited.synthetic),
        n_training=len(audited.training),
        n_holdout=len(audited.holdout),
        n_reference=0 if audited.reference is None else len(audited.reference),
        seen=f"which are one image: at {SIDE} pixels a side or less, under flips and small shifts",
        seed=question.seed,
        version=__version__,
        seconds=0.0,
    )


@dataclass(frozen=True, eq=False)
class Split:
    """The real images for all models: who testifies, which reference images are of neither side, and the blind
    baseline."""

    audited: Audited
    witnesses: Witnesses
    reference: Dataset | None
    blind: BlindBaseline | None

    def side(self, dataset: Dataset, names: Sequence[str], spec: ImageSpec) -> tuple[PixelBatch, NDArray[np.int64]]:
        """Pictures as a model takes them, with classes in its order; :class:`DataError` where there is none for an
        image."""
        number = {name: at for at, name in enumerate(names)}
        own = [number.get(name, -1) for name in dataset.classes]
        class_ids = np.array([-1 if each < 0 else own[each] for each in dataset.class_ids], dtype=np.int64)
        if (class_ids < 0).any():
            raise DataError(
                f"{dataset.name}: expected images of the classes {', '.join(names)}; got {int((class_ids < 0).sum())} "
                "of another class or none",
                hint="a model is attacked with the class of every image",
            )
        return dataset.prepared(spec), class_ids

    def targets(self, names: Sequence[str], spec: ImageSpec) -> Targets:
        """The witnesses as a model takes them."""
        sides = (self.side(each, names, spec) for each in (self.audited.training, self.audited.holdout))
        return Targets.of(self.witnesses, *sides)

    def others(self, names: Sequence[str], spec: ImageSpec) -> tuple[PixelBatch, NDArray[np.int64]] | None:
        """The reference images as a model takes them."""
        return None if self.reference is None else self.side(self.reference, names, spec)


def _models(
    audited: Audited,
    asked: Sequence[str],
    released: Released,
    dataset: documents.ReleasePart | None,
    question: AuditQuestion,
    listener: Listener,
) -> tuple[dict[str, documents.ModelPart], list[str]]:
    split, warnings = _split(audited, dataset, question)
    parts = {}
    for name in asked:
        listener.stage(f"audit the {name}")
        rng = Stream(question.seed).child("audit", name)
        if name == "classifier":
            assert released.classifier is not None
            found, source = _classifier(split, released.classifier, question, rng), str(released.classifier)
        else:
            found, source = _generator(split, released, question, rng)
        parts[name] = _part(found, source)
    return parts, warnings


def _split(audited: Audited, dataset: documents.ReleasePart | None, question: AuditQuestion) -> tuple[Split, list[str]]:
    release = auditing._release(audited)
    real = witnesses(release.training, release.holdout, release.of_training, release.of_holdout)
    units = int(real.units.max()) + 1
    if min(real.members, units - real.members) < FEWEST_UNITS:
        raise DataError(
            f"expected at least {FEWEST_UNITS} distinct training and as many held-out images to audit a model; got "
            f"{real.members} and {units - real.members}",
            hint="an audit of a model needs more",
        )
    reference, warnings = _reference(audited, release, real, told=dataset is not None)
    if dataset is not None:
        part = dataset.blind
        blind = None if part is None else BlindBaseline(part.share, part.low, part.high)
    else:
        blind = auditing._blind(release, rng=Stream(question.seed).child("audit").child("blind"))
    return Split(audited, real, reference, blind), warnings


def _reference(
    audited: Audited, release: DatasetRelease, real: Witnesses, *, told: bool
) -> tuple[Dataset | None, list[str]]:
    if audited.reference is None or release.reference is None:
        text = "without --reference (real images of neither side) RMIA and quantile regression see less or cannot run"
        return None, [text]
    rows = neither(release.reference, release.training, release.holdout, limit=real.limit)
    left_out = len(audited.reference) - len(rows)
    if not len(rows):
        raise DataError(
            "expected reference images that are neither training nor held-out images; got none",
            hint="give other real images of the kind, or none",
        )
    text = f"{left_out} reference images are training or held-out images: left out"
    return audited.reference.take(rows.tolist()), [text] if left_out and not told else []


def _classifier(split: Split, path: Path, question: AuditQuestion, rng: Stream) -> ModelAudit:
    from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
    from twinset.privacy.audit.classifier_release import ClassifierRelease, audit_classifier

    classifier = load_classifier(path)
    audited = split.audited
    names = classifier.classes or tuple(audited.training.classes)
    if len(names) != classifier.n_classes:
        raise DataError(
            f"{path}: expected a classifier of the {len(names)} classes of the training images; got one of "
            f"{classifier.n_classes}"
        )
    spec = ImageSpec(*classifier.shape)

    def train(pictures: PixelBatch, class_ids: NDArray[np.integer], stream: Stream) -> Classifier:
        settings = ClassifierSettings(width=classifier.width)
        return fit_classifier(pictures, class_ids, n_classes=classifier.n_classes, settings=settings, rng=stream)

    trained_on = split.side(audited.synthetic, names, spec) if len(audited.synthetic) else None
    release = ClassifierRelease(
        classifier, split.targets(names, spec), classifier.n_classes, train, trained_on, split.others(names, spec)
    )
    return audit_classifier(release, rng=rng, alpha=question.alpha, controls=question.controls, blind=split.blind)


def _generator(split: Split, released: Released, question: AuditQuestion, rng: Stream) -> tuple[ModelAudit, str]:
    from twinset.privacy.attacks.diffusion import ReleasedDiffusion
    from twinset.privacy.audit.generator_release import GeneratorRelease, audit_generator, sampled

    folder = _generator_folder(released)
    generator = ReleasedDiffusion(DiffusionModel.load(folder))
    audited = split.audited
    names, spec = tuple(audited.training.classes), generator.model.spec
    if generator.model.n_classes != len(names):
        raise DataError(
            f"{folder}: expected a generator of the {len(names)} classes of the training images; got one of "
            f"{generator.model.n_classes}"
        )
    targets = split.targets(names, spec)
    count = len(audited.synthetic) or len(audited.training)
    made = sampled(generator, targets.class_ids[targets.is_member], count, rng=rng)
    if made.shape[1:] != audited.spec.shape:
        made = np.stack([audited.spec.prepare(pixels) for pixels in made])
    release = GeneratorRelease(generator, targets, made, split.others(names, spec))
    found = audit_generator(release, rng=rng, alpha=question.alpha, controls=question.controls, blind=split.blind)
    return found, str(folder)


def _generator_folder(released: Released) -> Path:
    """Where the diffusion model lies: what was given, or what the run keeps."""
    if released.generator is not None:
        given = expanded(released.generator)
        folder = given.parent if given.name == MODEL_FILE else given
        if not (folder / MODEL_FILE).is_file():
            raise DataError(
                f"{released.generator}: expected a diffusion model ({MODEL_FILE}, or its folder); got none",
                hint="a run keeps it in models/0-diffusion",
            )
        return folder
    assert released.run is not None
    run = expanded(released.run)
    kept = sorted(path.parent for path in (run / "models").glob(f"*/{MODEL_FILE}"))
    if len(kept) != 1:
        raise UsageError(
            f"expected a run that keeps one diffusion model; {released.run} keeps {len(kept) or 'none'}",
            hint="name it by --generator"
            if kept
            else "generators without weights of their own are audited by what they made: --release dataset",
        )
    return kept[0]


def _part(found: ModelAudit, source: str) -> documents.ModelPart:
    return documents.ModelPart(
        release=cast(Literal["generator", "classifier"], found.release),
        source=source,
        answer=found.answer,
        finding=found.finding,
        alpha=found.alpha,
        p_value=found.p_value,
        p_values=dict(found.p_values),
        attacks=[documents.AttackPart.model_validate(figures.to_record()) for figures in found.attacks],
        controls=[
            documents.ControlPart(
                what=each.what.format(dose=each.dose),
                dose=each.dose,
                found=each.found,
                attack=each.attack,
                auc=each.auc,
                low=each.interval.low,
                high=each.interval.high,
                p_value=each.p_value,
            )
            for each in found.controls
        ],
        independents=None
        if found.independents is None
        else documents.IndependentsPart(flagged=found.independents.flagged, sets=found.independents.sets),
        blind=None
        if found.blind is None
        else documents.RatePart(share=found.blind.auc, low=found.blind.low, high=found.blind.high),
        facts=dict(found.facts),
    )
