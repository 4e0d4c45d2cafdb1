"""Objects in unlabelled deployment images, found by a detector that was trained on the exposed images alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from twinset.alignment.metadata import Target, detect_shift, infer_target, measure_boxes
from twinset.alignment.metadata.target import balanced_confidence, confident
from twinset.dataset import Dataset, Sample
from twinset.downstream.placed_budget import FEWEST_STEPS, MOST_STEPS, SAFETY, seconds_per_step
from twinset.downstream.placed_cells import PlacedSettings
from twinset.errors import DataError
from twinset.images import ImageSpec, decode
from twinset.instances import Instances
from twinset.models.detection import (
    Detector,
    DetectorSettings,
    Scenes,
    fit_detector,
    network_size,
    scene_augmentation,
    stride_for,
)
from twinset.paths import pictures_under
from twinset.pipeline.held_out import transductive
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.randomness import Stream
from twinset.recipe import ImagePart, Recipe, TargetPart
from twinset.threads import torch_threads

LONGEST = 960
"""Longer side, in pixels, of the pictures that the detector sees at most."""

CROP = (256, 320)
"""What it is trained on out of pictures with a longer side than :data:`CROPPED`."""
CROPPED = 512

MOST_PICTURES = 1000
"""Of more deployment images, as many are looked at, evenly spread over their names."""
AT_ONCE = 16


def pinned_target(part: TargetPart) -> TargetPart:
    """The part with the digest of the images that it stands on."""
    if part.path is None:
        return part
    return part.model_copy(update={"content": _digest(_files(Path(part.path)))})


def resolved_target(part: TargetPart, real: RealData, *, seconds: float) -> TargetPart:
    """The part with nothing left open: a detector at the pictures' own size, or 960, trained for about ``seconds``."""
    if part.path is None:
        return part
    shapes = np.array([sample.shape()[:2] for sample in real.training])
    size = part.size
    if size == "auto":
        found = network_size(shapes, real.training.object_boxes(), real.training.object_counts(), longest=LONGEST)
        size = (found.height, found.width)
    steps = part.steps
    if steps == "auto":
        step = step_time(part.model_copy(update={"size": size}), real)
        steps = int(np.clip(SAFETY * seconds / step // 50 * 50, FEWEST_STEPS, MOST_STEPS))
    return part.model_copy(update={"size": size, "steps": steps})


def step_time(part: TargetPart, real: RealData) -> float:
    """Seconds that a training step of the detector takes here on one thread, by a probe."""
    height, width = cast("tuple[int, int]", part.size)
    stride, crop = stride_for(real.training, (height, width)), _crop((height, width))
    probe = PlacedSettings(height, width, real.spec.channels, 1, stride=stride, crop=crop)
    return seconds_per_step(probe, "objects", n_classes=len(real.dataset.classes))


def inferred_target(
    recipe: Recipe, part: TargetPart, real: RealData, *, run: Stream, device: str, listener: Listener
) -> tuple[Target, tuple[str, ...]]:
    """The target of the deployment images, and sentences: what they have not in common with the exposed ones, and
    whether they are held-out images.
    """
    files = _pinned_files(part)
    aspect = float(np.median([np.divide(*sample.shape()[:2]) for sample in real.training]))

    def framed(pictures: Iterable[Instances]) -> list[Instances]:
        return [reframed(picture, aspect) for picture in pictures]

    size, channels, labelled = cast("tuple[int, int]", part.size), real.spec.channels, real.part("validation")
    with torch_threads(int(recipe.threads)):
        detector = _detector(part, real, rng=run.child("detector"), device=device, listener=listener)
        seen = framed(_predicted(detector, labelled, size, channels))
        deployment: list[Instances] = []
        for start in range(0, len(files), AT_ONCE):
            pictures = _unlabelled(files[start : start + AT_ONCE], recipe.image, real)
            deployment += framed(_predicted(detector, pictures, size, channels))
    truth = framed(map(_objects, labelled))
    try:
        least = balanced_confidence(seen, truth)
        target = infer_target(
            deployment,
            part.measures,
            classes=real.dataset.classes,
            validation_predictions=seen,
            validation_truth=truth,
            rng=run.child("mixtures"),
            least_confidence=least,
            most_components=5 if recipe.match is None else recipe.match.components,
        )
    except ValueError as error:
        raise DataError(f"target: {error}", hint="give the target in numbers, or train with more `minutes`") from error
    found = [confident(picture, least) for picture in deployment]
    shifts = _shifts(framed(map(_objects, real.training)), found, part.measures, real, run.child("shift"))
    return target, (*shifts, *transductive(files, real))


def _pinned_files(part: TargetPart) -> list[Path]:
    """The pictures to look at; :class:`DataError` if they are not those that the recipe was resolved with."""
    files = _files(Path(cast(str, part.path)))
    if part.content is not None and _digest(files) != part.content:
        raise DataError(
            f"{part.path}: expected the images that this recipe was resolved with ({part.content[:12]}…); "
            f"got others ({_digest(files)[:12]}…)",
            hint="start a new run, or put them back",
        )
    return files[:: -(-len(files) // MOST_PICTURES)]


def _detector(part: TargetPart, real: RealData, *, rng: Stream, device: str, listener: Listener) -> Detector:
    """A detector trained on the exposed images alone."""
    progress = listener.stage("detector for the target")
    size = cast("tuple[int, int]", part.size)
    settings = DetectorSettings(
        steps=int(part.steps),
        stride=stride_for(real.training, size),
        crop=_crop(size),
        augmentation=scene_augmentation("strong"),
    )
    return fit_detector(
        Scenes.of(real.training, height=size[0], width=size[1], channels=real.spec.channels),
        n_classes=len(real.dataset.classes),
        settings=settings,
        rng=rng,
        device=device,
        progress=progress,
    )


def _shifts(
    exposed: Sequence[Instances], found: Sequence[Instances], names: Sequence[str], real: RealData, rng: Stream
) -> tuple[str, ...]:
    """In what the objects found in the deployment images differ from the exposed ones beyond chance."""
    first, second = (measure_boxes(pictures, classes=real.dataset.classes) for pictures in (exposed, found))
    shifts = detect_shift(first, second, names=names, rng=rng)
    return tuple(f"Deployment images: {shift.sentence}." for shift in shifts if shift.detected)


def _predicted(detector: Detector, dataset: Dataset, size: tuple[int, int], channels: int) -> list[Instances]:
    """What the detector finds, a few pictures at a time."""
    found: list[Instances] = []
    for start in range(0, len(dataset), AT_ONCE):
        part = dataset.take(range(start, min(start + AT_ONCE, len(dataset))))
        found += detector.predict(Scenes.of(part, height=size[0], width=size[1], channels=channels))
    return found


def _unlabelled(files: Sequence[Path], image: ImagePart, real: RealData) -> Dataset:
    """Pictures without labels, brought to the run's size where the recipe names one."""
    window = real.dataset.window
    samples = [Sample(id=str(file), image=decode(file.read_bytes(), name=str(file), window=window)) for file in files]
    if image.size != "auto":
        height, width = (image.size, image.size) if isinstance(image.size, int) else image.size
        spec = ImageSpec(height, width, real.spec.channels, image.fit)
        samples = [Sample(id=sample.id, image=spec.prepare(sample.pixels())) for sample in samples]
    return Dataset.of(samples, classes=real.dataset.classes, name="deployment")


def _crop(size: tuple[int, int]) -> tuple[int, int] | None:
    return CROP if max(size) > CROPPED and size[0] >= CROP[0] and size[1] >= CROP[1] else None


def reframed(picture: Instances, aspect: float) -> Instances:
    """The objects in the smallest frame of this height over width that holds their picture.

    Exposed and deployment pictures may have other formats; networks bring both to one, by the longer side. So areas
    become shares of that frame; sides in pixels, and centres as shares of the picture, stay.

    >>> half = Instances((10, 40), np.zeros(1, np.int64), np.array([[0, 0, 20, 10]], np.float32))
    >>> reframed(half, 0.5).size, reframed(half, 0.5).boxes.tolist()
    ((20, 40), [[0.0, 5.0, 20.0, 15.0]])
    """
    height, width = picture.size
    across = max(width, height / aspect)
    frame = (max(height, round(across * aspect)), max(width, round(across)))
    boxes = picture.boxes.astype(np.float64)
    sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    centres *= np.array(frame[::-1]) / (width, height)
    moved = np.clip(np.concatenate([centres - sides / 2, centres + sides / 2], axis=1), 0, (*frame[::-1], *frame[::-1]))
    return Instances(
        frame, picture.class_ids, moved.astype(np.float32), crowd=picture.crowd, confidences=picture.confidences
    )


def _objects(sample: Sample) -> Instances:
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    return sample.annotation.instances


def _files(folder: Path) -> list[Path]:
    """The pictures under a folder, by name."""
    found = pictures_under(folder) if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder}: expected a folder with pictures; got none", hint="correct target.path")
    return found


def _digest(files: Sequence[Path]) -> str:
    """sha256 over the bytes of all files, in order; their names do not count."""
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
