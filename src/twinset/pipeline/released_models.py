"""Released models for an audit: loaded, with the real images as each of them takes them, attacked, and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError, UsageError
from twinset.generators.cells import CELLS_FILE, Cells
from twinset.images import ImageSpec, PixelBatch
from twinset.models.diffusion import MODEL_FILE
from twinset.paths import expanded
from twinset.pipeline import auditing
from twinset.pipeline.auditing import Audited, AuditQuestion
from twinset.pipeline.classifying import load_classifier
from twinset.pipeline.parts import attack_parts, blind_part, independents_part
from twinset.pipeline.reporting import Listener
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.dataset_release import DatasetRelease
from twinset.privacy.audit.model_release import FEWEST_UNITS, ModelAudit, Targets
from twinset.privacy.audit.witnesses import Witnesses, neither, witnesses
from twinset.randomness import Stream

if TYPE_CHECKING:
    from twinset.privacy.attacks.diffusion import ReleasedDiffusion
    from twinset.privacy.attacks.sampled import OnlySampled
    from twinset.privacy.audit.shadow_shelf import ShadowShelf
from twinset.threads import torch_threads


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


def split_of(
    audited: Audited, dataset: documents.ReleasePart | None, question: AuditQuestion
) -> tuple[Split, list[str]]:
    """The split of an audit, and warnings; the blind baseline is that of the dataset's part, where there is one.

    :class:`DataError` for fewer than :data:`FEWEST_UNITS` families on a side.
    """
    release = auditing.release_of(audited)
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
        blind = auditing.blind_baseline(release, rng=Stream(question.seed).child("audit").child("blind"))
    return Split(audited, real, reference, blind), warnings


def _reference(
    audited: Audited, release: DatasetRelease, real: Witnesses, *, told: bool
) -> tuple[Dataset | None, list[str]]:
    if audited.reference is None or release.reference is None:
        text = "without reference images RMIA cannot run on a classifier; quantile regression on a generator sees less"
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


def audited_models(
    audited: Audited,
    places: Mapping[str, Path],
    dataset: documents.ReleasePart | None,
    question: AuditQuestion,
    listener: Listener,
    shelf: ShadowShelf | None = None,
) -> tuple[dict[str, documents.ModelPart], list[str]]:
    """The parts of the models that lie at these places, by release, and warnings.

    ``dataset`` is the dataset's part, where that was audited: its blind baseline is theirs. ``shelf`` keeps shadows for
    other classifiers. :class:`DataError` for too few images, or models of other classes.
    """
    with torch_threads(1):
        split, warnings = split_of(audited, dataset, question)
        parts = {}
        for name, place in places.items():
            listener.stage(f"audit the {name}")
            rng = Stream(question.seed).child("audit", name)
            if name == "classifier":
                found = audited_classifier(split, place, question, rng, shelf)
            else:
                found = audited_generator(split, place, question, rng)
            parts[name] = model_part(found, str(place))
    return parts, warnings


def audited_classifier(
    split: Split, path: Path, question: AuditQuestion, rng: Stream, shelf: ShadowShelf | None = None
) -> ModelAudit:
    """The audit of a kept classifier; its controls are trained as `twinset fit-classifier` trains."""
    from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
    from twinset.privacy.audit.classifier_release import ClassifierRelease, ShadowAttack, audit_classifier

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
    prepare = ShadowAttack.prepare if shelf is None else shelf.prepare
    alpha, controls = question.alpha, question.controls
    return audit_classifier(release, rng=rng, prepare=prepare, alpha=alpha, controls=controls, blind=split.blind)


def audited_generator(split: Split, folder: Path, question: AuditQuestion, rng: Stream) -> ModelAudit:
    """The audit of a kept generator, with as many fresh samples as there are released or training images."""
    from twinset.privacy.audit.generator_release import GeneratorRelease, audit_generator, sampled

    if (folder / CELLS_FILE).exists():
        raise DataError(
            f"{folder}: expected a generator of classes alone; got one by {Cells.load(folder).by!r}",
            hint="what it made can be audited: --release dataset",
        )
    generator = load_generator(folder)
    audited = split.audited
    names, spec = tuple(audited.training.classes), generator.model.spec
    if generator.model.n_classes != len(names):
        raise DataError(
            f"{folder}: expected a generator of the {len(names)} classes of the training images; got one of "
            f"{generator.model.n_classes}"
        )
    targets = split.targets(names, spec)
    count = max(len(audited.synthetic), len(audited.training))
    made = sampled(generator, targets.class_ids[targets.is_member], count, rng=rng)
    if made.shape[1:] != audited.spec.shape:
        made = np.stack([audited.spec.prepare(pixels) for pixels in made])
    release = GeneratorRelease(generator, targets, made, split.others(names, spec))
    return audit_generator(release, rng=rng, alpha=question.alpha, controls=question.controls, blind=split.blind)


def load_generator(folder: Path) -> ReleasedDiffusion | OnlySampled:
    """The generator in this folder as attacks see it: diffusion from inside, a GAN and DP-MERF by what they make."""
    from twinset.models.checkpoint import load_tensors
    from twinset.models.diffusion import DiffusionModel
    from twinset.models.gan.model import FORMAT, GanModel
    from twinset.models.private.mean_embedding import MeanEmbeddingModel
    from twinset.privacy.attacks.diffusion import ReleasedDiffusion
    from twinset.privacy.attacks.sampled import OnlySampled

    _, record = load_tensors(folder / MODEL_FILE)
    if record.get("format") == FORMAT:
        return OnlySampled(GanModel.load(folder))
    if "shares" in record:
        return OnlySampled(MeanEmbeddingModel.load(folder))
    return ReleasedDiffusion(DiffusionModel.load(folder))


def model_part(found: ModelAudit, source: str) -> documents.ModelPart:
    """The audit of one model as its part of the document."""
    return documents.ModelPart(
        release=cast(Literal["generator", "classifier"], found.release),
        source=source,
        answer=found.answer,
        finding=found.finding,
        alpha=found.alpha,
        p_value=found.p_value,
        p_values=dict(found.p_values),
        attacks=attack_parts(found.attacks),
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
        independents=independents_part(found.independents),
        blind=blind_part(found.blind),
        facts=dict(found.facts),
    )


def generator_folder(given: Path | None, run: Path | None) -> Path:
    """Where the generator lies: what was given, or what the run keeps."""
    if given is not None:
        place = expanded(given)
        folder = place.parent if place.name == MODEL_FILE else place
        if not (folder / MODEL_FILE).is_file():
            raise DataError(
                f"{given}: expected a diffusion model, GAN or mean embedding ({MODEL_FILE}, or its folder); got none",
                hint="a run keeps it in models/0-diffusion, models/0-gan …",
            )
        return folder
    assert run is not None
    kept = sorted(path.parent for path in (expanded(run) / "models").glob(f"*/{MODEL_FILE}"))
    if len(kept) != 1:
        raise UsageError(
            f"expected a run that keeps one generator; {run} keeps {len(kept) or 'none'}",
            hint="name it by --generator"
            if kept
            else "generators without weights of their own are audited by what they made: --release dataset",
        )
    return kept[0]
