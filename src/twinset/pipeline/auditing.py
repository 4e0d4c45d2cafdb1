"""``twinset audit`` of a dataset: may it be released, as far as an attacker's tests can tell?

:mod:`twinset.pipeline.releases` is the whole command; models are audited on the sets of this module.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset import __version__, documents
from twinset.copying import SIDE, copy_features
from twinset.copytest import NOTHING, CopyPair, Known
from twinset.dataset import Dataset
from twinset.errors import DataError, UsageError
from twinset.evaluation.detectability.two_sample import Detectability, detectability
from twinset.families import one_of_each
from twinset.images import ImageSpec, PixelBatch
from twinset.paths import expanded
from twinset.pipeline.folders import recipe_of, refuse_unfinished
from twinset.pipeline.object_audit import audited_objects
from twinset.pipeline.opening import Run, open_run
from twinset.pipeline.parts import attack_parts, blind_part, independents_part
from twinset.pipeline.reference_images import FEWEST, reference_beside
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import Machine
from twinset.pipeline.tools import load
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.dataset_release import DatasetAudit, DatasetRelease, audit_dataset
from twinset.randomness import Stream
from twinset.store import ShardStore
from twinset.threads import torch_threads

MOST_PAIRS = 50
FEW_PERMUTATIONS = 19
"""Only the interval of the AUC is used, not the test."""


@dataclass(frozen=True)
class AuditQuestion:
    """How to audit. ``controls`` off: only a leak can be found."""

    alpha: float = 0.01
    seed: int = 0
    controls: bool = True
    on_bad_input: str = "refuse"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise UsageError(f"expected --alpha in (0, 0.5); got {self.alpha}")
        if self.on_bad_input not in ("refuse", "skip"):
            raise UsageError(f"expected --on-bad-input refuse or skip; got {self.on_bad_input}")


@dataclass(frozen=True, eq=False)
class Audited:
    """The sets of an audit: ids and pictures of one size, and what is known of the real ones."""

    name: str
    synthetic: Dataset
    training: Dataset
    holdout: Dataset
    reference: Dataset | None
    spec: ImageSpec
    of_training: Known = NOTHING
    of_holdout: Known = NOTHING


def examine(audited: Audited, question: AuditQuestion, listener: Listener) -> documents.AuditDocument:
    """The audit of these sets, and of the objects marked in them; :class:`DataError` for too few images."""
    began = time.perf_counter()
    _check_numbers(audited)
    listener.stage("audit")
    rng = Stream(question.seed).child("audit")
    objects = audited_objects(audited, rng=rng.child("objects"))
    seen = f"pixels at {SIDE} a side or less, contrast normalised, under flips and small shifts"
    if objects is None:
        part, warnings = _examined(audited, question, rng=rng)
        of_objects = None
    else:
        seen += "; whole pictures and, for themselves, their objects"
        half = replace(question, alpha=question.alpha / 2)
        part, warnings = _examined(audited, half, rng=rng)
        of_objects, more = _examined(objects, half, rng=rng.child("objects"))
        warnings += [f"objects: {text}" for text in more if text not in warnings]
    return documents.AuditDocument(
        synthetic=audited.name,
        n_synthetic=len(audited.synthetic),
        n_training=len(audited.training),
        n_holdout=len(audited.holdout),
        n_reference=0 if audited.reference is None else len(audited.reference),
        seen=seen,
        seed=question.seed,
        version=__version__,
        dataset=part,
        objects=of_objects,
        warnings=warnings,
        seconds=time.perf_counter() - began,
    )


def _examined(audited: Audited, question: AuditQuestion, *, rng: Stream) -> tuple[documents.ReleasePart, list[str]]:
    with torch_threads(1):
        release = release_of(audited)
        blind = blind_baseline(release, rng=rng.child("blind"))
        found = audit_dataset(release, rng=rng, alpha=question.alpha, controls=question.controls, blind=blind)
    return _part(found, audited), list(_warnings(audited, found))


def audited_sets(
    run: Path | None,
    synthetic: str | None,
    train: str | None,
    holdout: str | None,
    reference: str | None,
    question: AuditQuestion,
    listener: Listener,
) -> Audited:
    """The sets of a finished run, or those named; :class:`UsageError` for both at once, or too few."""
    named = {"--synthetic": synthetic, "--train": train, "--holdout": holdout}
    if run is not None:
        if given := [name for name, value in named.items() if value is not None]:
            raise UsageError(f"expected a run, or --synthetic, --train and --holdout; got a run and {', '.join(given)}")
        return _of_run(run, reference, question, listener)
    if missing := [name for name, value in named.items() if value is None]:
        raise UsageError(
            f"expected a run, or --synthetic, --train and --holdout; {', '.join(missing)} missing",
            hint="held-out images are real ones that the generator never saw",
        )
    made, shown, held = (load(str(value), on_bad_input=question.on_bad_input) for value in named.values())
    of_training, of_holdout = known_classes(shown, held)
    return Audited(
        name=str(synthetic),
        synthetic=made,
        training=shown,
        holdout=held,
        reference=load(reference, on_bad_input=question.on_bad_input) if reference is not None else None,
        spec=compared_size(shown),
        of_training=of_training,
        of_holdout=of_holdout,
    )


def known_classes(shown: Dataset, held: Dataset) -> tuple[Known, Known]:
    """Classes of either side, numbered by name, −1 for unlabelled; nothing where a side has no labels."""
    number = {name: at for at, name in enumerate(sorted({*shown.classes, *held.classes}))}
    ids = [
        np.array([-1 if each < 0 else number[side.classes[each]] for each in side.class_ids], dtype=np.int64)
        for side in (shown, held)
    ]
    if any((each < 0).all() for each in ids):
        return NOTHING, NOTHING
    return Known(classes=ids[0]), Known(classes=ids[1])


def _of_run(folder: Path, reference: str | None, question: AuditQuestion, listener: Listener) -> Audited:
    folder = expanded(folder).resolve()
    written = recipe_of(folder)
    refuse_unfinished(folder)
    run: Run = open_run(folder, written, Machine.of(workers=1, device="cpu"), listener, reread=False)
    named = run.recipe.privacy.reference if reference is None and run.recipe.privacy is not None else reference
    beside = reference_beside(run.real, named, on_bad_input=question.on_bad_input)
    return audited_run(run, ShardStore(folder).accepted(run.real.dataset.classes), beside)


def audited_run(run: Run, made: Dataset, reference: Dataset | None) -> Audited:
    """The images ``made`` of a run beside its real ones: their classes where each has one, and their families."""
    real = run.real
    labelled = real.task == "classification"
    return Audited(
        run.folder.name,
        made,
        real.training,
        real.holdout,
        reference,
        real.spec,
        Known(real.training.class_ids if labelled else None, real.part_families("train")),
        Known(real.holdout.class_ids if labelled else None, real.part_families("validation", "test")),
    )


def compared_size(dataset: Dataset) -> ImageSpec:
    """The size of the first training picture, its longer side at most twice what pictures are compared at."""
    height, width, channels = dataset[0].pixels().shape
    share = min(1.0, 2 * SIDE / max(height, width))
    return ImageSpec(max(1, round(share * height)), max(1, round(share * width)), channels)


def _check_numbers(audited: Audited) -> None:
    sides = {"synthetic": audited.synthetic, "training": audited.training, "held-out": audited.holdout}
    if audited.reference is not None:
        sides["reference"] = audited.reference
    for name, side in sides.items():
        if len(side) < FEWEST:
            raise DataError(f"expected at least {FEWEST} {name} images; got {len(side)}", hint="an audit needs more")


def release_of(audited: Audited) -> DatasetRelease:
    """The pictures at the size at which they are compared."""

    def pictures(dataset: Dataset) -> PixelBatch:
        return dataset.prepared(audited.spec)

    return DatasetRelease(
        pictures(audited.synthetic),
        pictures(audited.training),
        pictures(audited.holdout),
        None if audited.reference is None else pictures(audited.reference),
        audited.of_training,
        audited.of_holdout,
    )


def blind_baseline(release: DatasetRelease, *, rng: Stream) -> BlindBaseline | None:
    """How well training and held-out images are told apart by a classifier that never saw the release; None where they
    are too few."""
    rows = _comparable(release.of_training, release.of_holdout, (len(release.training), len(release.holdout)), rng=rng)
    if min(map(len, rows)) < 1:
        return None
    pictures = release.training[rows[0]], release.holdout[rows[1]]
    sides = [np.asarray(copy_features(side)) for side in pictures]  # type: ignore[arg-type]
    score = detectability(*sides, settings=Detectability(permutations=FEW_PERMUTATIONS), rng=rng)[0]
    if score.value is None or score.interval is None:
        return None
    return BlindBaseline(score.value, score.interval.low, score.interval.high)


def _comparable(
    of_training: Known, of_holdout: Known, counts: tuple[int, int], *, rng: Stream
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of either side: one image of a family, and as many of a class on one side as on the other.

    A classifier that has seen one image of a patient knows the side of the others, and the mix of classes is no leak:
    attacks compare within classes.
    """
    drawn = []
    for known, count, side in zip((of_training, of_holdout), counts, ("training", "holdout"), strict=True):
        families = np.arange(count) if known.families is None else np.asarray(known.families)
        drawn.append(one_of_each(families, rng.child("comparable", side).numpy().permutation(count)))
    if of_training.classes is None or of_holdout.classes is None:
        return drawn[0], drawn[1]
    labels = [np.asarray(known.classes)[rows] for known, rows in zip((of_training, of_holdout), drawn, strict=True)]
    kept: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for label in np.intersect1d(labels[0], labels[1]):
        own = [rows[ids == label] for rows, ids in zip(drawn, labels, strict=True)]
        for rows, into in zip(own, kept, strict=True):
            into.append(rows[: min(map(len, own))])
    first, second = (np.concatenate([*part, np.empty(0, dtype=np.int64)]) for part in kept)
    return first, second


def _part(found: DatasetAudit, audited: Audited) -> documents.ReleasePart:
    closest = found.closest
    return documents.ReleasePart(
        answer=found.answer,
        finding=found.finding,
        alpha=found.alpha,
        p_value=found.p_value,
        p_values=dict(found.p_values),
        attacks=attack_parts(found.attacks),
        closest_records=documents.RatePart(share=closest.share, low=closest.interval.low, high=closest.interval.high),
        planted=[
            documents.PlantedPart(how=each.how, count=each.count, total=each.total, found=each.found)
            for each in found.planted
        ],
        independents=independents_part(found.independents),
        blind=blind_part(found.blind),
        training_hits=found.test.training_hits,
        holdout_hits=found.test.holdout_hits,
        pairs=[_pair(pair, audited) for pair in found.test.pairs[:MOST_PAIRS]],
    )


def _pair(pair: CopyPair, audited: Audited) -> dict[str, str | float]:
    return {
        "synthetic": audited.synthetic[pair.synthetic].id,
        "training": audited.training[pair.training].id,
        "distance": pair.distance,
        "ratio": pair.ratio,
    }


def _warnings(audited: Audited, found: DatasetAudit) -> Sequence[str]:
    warnings = []
    if audited.reference is None:
        warnings.append("without reference images (real ones of neither side) the density attacks cannot run")
    if found.left_out:
        warnings.append(f"{found.left_out} reference images are training or held-out images: left out")
    if found.blind is None:
        warnings.append("too few images to ask whether training and held-out ones differ without the release")
    if found.independents is None and found.settings["controls"]:
        warnings.append("too few held-out images to ask whether independent sets are flagged")
    return warnings
