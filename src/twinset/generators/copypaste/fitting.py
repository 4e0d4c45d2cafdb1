"""From settings and training pictures to a generator: gather, learn where objects stand, put together."""

from __future__ import annotations

import numpy as np

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.generators.copypaste.backgrounds import Noise
from twinset.generators.copypaste.foregrounds import gather
from twinset.generators.copypaste.gathering import (
    Gathered,
    Plan,
    backgrounds_of,
    distractors_of,
    from_class_folders,
    visit,
)
from twinset.generators.copypaste.generator import CopyPasteGenerator
from twinset.generators.copypaste.learning import learn_placement
from twinset.generators.copypaste.recomposing import fit_regions
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.stores import Cutouts, Packer
from twinset.paths import expanded
from twinset.randomness import Stream


def fit(settings: CopyPaste, training: Dataset, *, rng: Stream) -> CopyPasteGenerator:
    """A generator for the training set's task."""
    if not len(training):
        raise DataError("expected training pictures to cut from; got none")
    if settings.content is not None and settings.folders_digest() != settings.content:
        raise DataError("expected the folders that this recipe was resolved with; got others", hint="start a new run")
    if training.task == "semantic-segmentation":
        return fit_regions(settings, training, rng)
    boxes = training.object_counts().sum()
    if not boxes and (settings.foreground_path is None or settings.placement != "uniform"):
        raise DataError(
            "expected objects with boxes or masks in the training pictures; got none",
            hint="label some, or give foreground_path with placement uniform",
        )
    plan = Plan.of(settings, training, rng)
    gathered = Gathered(Packer(limit_bytes=settings.memory_mb << 19))
    for row, sample in enumerate(training):
        visit(settings, plan, gathered, row, sample)
    if settings.foreground_path is not None:
        gathered.cuts = from_class_folders(expanded(settings.foreground_path), training.classes)
    gathered.cuts += distractors_of(settings, gathered, rng)
    if not any(cut.class_id >= 0 for cut in gathered.cuts):
        raise DataError("expected at least one object to cut out; got none", hint="use foregrounds: auto")
    cutouts = gather(gathered.cuts, limit_bytes=settings.memory_mb << 19)
    backgrounds = backgrounds_of(settings, gathered)
    placement = learn_placement(settings, training, cutouts, gathered, rng)
    return CopyPasteGenerator(
        settings=settings,
        classes=training.classes,
        cutouts=cutouts,
        backgrounds=backgrounds,
        noise=Noise.of(gathered.small) if backgrounds is None else None,
        placement=placement,
        regions=None,
        grey=gathered.grey,
        with_masks=training.task == "instance-segmentation",
        remarks=_remarks(settings, training, plan, gathered, cutouts),
    )


def _remarks(
    settings: CopyPaste, training: Dataset, plan: Plan, gathered: Gathered, cutouts: Cutouts
) -> tuple[str, ...]:
    found = []
    if gathered.tried:
        found.append(
            f"{gathered.tried - gathered.failed} of {gathered.tried} objects known by their boxes were cut out by "
            f"GrabCut; for {gathered.failed} an ellipse or a rounded box was taken."
        )
    if settings.foreground_path is None and len(plan.objects) < plan.candidates:
        found.append(f"{len(plan.objects)} of {plan.candidates} objects were kept as cut-outs (most_cutouts).")
    if settings.background_path is None and len(plan.backgrounds) < len(training):
        found.append(f"{len(plan.backgrounds)} of {len(training)} pictures were kept as backgrounds.")
    counts = np.bincount(cutouts.class_ids[cutouts.class_ids >= 0], minlength=len(training.classes))
    missing = [name for name, n in zip(training.classes, counts, strict=True) if n == 0]
    if missing:
        found.append(f"There is nothing to cut out of class {', '.join(missing)}; it is not pasted.")
    if any(objects is not None and objects.keypoints is not None for objects in gathered.kept):
        found.append("Keypoints of the objects in real backgrounds are left out.")
    return tuple(found)
