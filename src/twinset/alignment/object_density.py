"""No object far from all real ones of its class: k-nearest-neighbour density of crops in feature space.

Crops of boxes, brought to one size, are embedded; an object's score is its distance from the real crops of its class,
1 being what other real crops of that class usually have. The threshold is the elbow of a pilot's sorted scores, kept
between two levels of real crops as for whole images (:mod:`twinset.alignment.density`). What to do about a far object
is a choice: reject the picture, take its label away, or paint over it and take its label away. The first judges
pictures that were made; the others are part of making them, with a judge that was fitted on a pilot and kept in a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.density import elbow
from twinset.annotations import Annotation, SemanticMap
from twinset.choices import check_choices
from twinset.crops import crop_batches, crop_frames, object_crops, objects_of
from twinset.dataset import Dataset, Origin, Sample
from twinset.embedding.embedder import embed_stream
from twinset.embedding.random_convolution import RandomConvolution
from twinset.images import ImageSpec
from twinset.models.checkpoint import load_model, save_tensors
from twinset.moved_geometry import uncovered_geometry
from twinset.neighbours import nearest
from twinset.randomness import Stream
from twinset.stages import Embedder, Judgement

FEWEST_FOR_AN_ELBOW = 3

Threshold = Literal["elbow", "quantile"]
Paint = Literal["mean", "black"]
Far = Literal["drop-picture", "drop-box", "black-box"]

JUDGE_FORMAT = "twinset/object-density/1"
SCALE = "scale."


@dataclass(frozen=True)
class ObjectDensity:
    """``neighbours``: k of the mean distance. ``quantile``: share of held-out real objects below the threshold.

    ``threshold``: ``elbow`` looks at the pilot's scores too, ``quantile`` only at real ones. ``side``: pixels of a
    square crop. ``far`` says what is done about far objects: the picture is rejected if it has more than ``allowed``,
    their labels go, or they are painted over too, with ``paint``. Features are those of fixed random convolutions,
    which saw none of the images.
    """

    neighbours: int = 5
    quantile: float = 0.99
    threshold: Threshold = "elbow"
    side: int = 32
    allowed: int = 0
    far: Far = "drop-picture"
    paint: Paint = "black"

    def __post_init__(self) -> None:
        check_choices(self)
        if self.neighbours < 1 or not 0.5 <= self.quantile <= 1 or self.side < 8 or self.allowed < 0:
            raise ValueError(f"expected neighbours ≥ 1, quantile in [0.5, 1], side ≥ 8 and allowed ≥ 0; got {self}")
        if self.allowed and self.far != "drop-picture":
            raise ValueError(f"expected allowed with far: drop-picture only; got {self.far}; leave it out")

    @property
    def embedder(self) -> Embedder:
        """What looks at the crops."""
        return RandomConvolution()

    @property
    def revises(self) -> bool:
        """Whether far objects are taken out of their pictures, which stay."""
        return self.far != "drop-picture"

    def reviser(self, fitted: ObjectDensityFilter) -> DropBoxes | BlackBoxes:
        """What takes them out; for ``far`` other than ``drop-picture``."""
        return DropBoxes(fitted) if self.far == "drop-box" else BlackBoxes(fitted, self.paint)

    def load(self, path: Path) -> ObjectDensityFilter:
        """What :meth:`ObjectDensityFilter.save` wrote for these settings; ``ValueError`` for another file."""
        tensors, record = load_model(path, format=JUDGE_FORMAT)
        scales = {name.removeprefix(SCALE): value for name, value in record.items() if name.startswith(SCALE)}
        return ObjectDensityFilter(
            self.embedder,
            tensors["real"].numpy(),
            tensors["classes"].numpy(),
            {int(name): float(value or 0) for name, value in scales.items()},
            self.neighbours,
            self.side,
            float(record["threshold"] or 0),
            self.allowed,
        )

    def fit(
        self,
        pilot: Dataset,
        *,
        training: Dataset,
        holdout: Dataset,
        spec: ImageSpec,  # noqa: ARG002
        rng: Stream,  # noqa: ARG002
    ) -> ObjectDensityFilter:
        """Real crops by class, and a threshold; crops are taken from the pictures at their own size.

        Without objects in ``holdout`` the training crops' own scores, each taken without itself, stand for them.
        ``ValueError`` for training images without enough objects.
        """
        real, classes = embedded_crops(self.embedder, training, side=self.side)
        if len(real) < self.neighbours + 2:
            raise ValueError(f"expected more than {self.neighbours + 1} real objects; got {len(real)}; add images")
        held, held_classes = embedded_crops(self.embedder, holdout, side=self.side)
        unit = ObjectDensityFilter(self.embedder, real, classes, {}, self.neighbours, self.side, np.inf, self.allowed)
        raw_own = unit.scores(real, classes, exclude=np.arange(len(real)))
        raw_held = unit.scores(held, held_classes) if len(held) else raw_own
        known = held_classes if len(held) else classes
        unit = replace(unit, scales=_scales(raw_own, classes, raw_held, known))
        own = unit.scores(real, classes, exclude=np.arange(len(real)))
        held_scores = unit.scores(held, held_classes) if len(held) else own
        floor = float(np.quantile(held_scores, self.quantile))
        if self.threshold == "quantile":
            return replace(unit, threshold=floor)
        ceiling = max(float(held_scores.max()), float(np.quantile(own, self.quantile)))
        made, made_classes = embedded_crops(self.embedder, pilot, side=self.side)
        if len(made) < FEWEST_FOR_AN_ELBOW:
            return replace(unit, threshold=floor)
        turn = elbow(np.sort(unit.scores(made, made_classes)))
        return replace(unit, threshold=min(max(floor, turn), ceiling))


def _scales(
    own: NDArray[np.float64], classes: NDArray[np.int64], held: NDArray[np.float64], held_classes: NDArray[np.int64]
) -> dict[int, float]:
    """The usual distance of real crops by class: of held-out ones, or where there are none, of training crops."""
    scales = {}
    for class_id in np.unique(classes).tolist():
        of_class = held[held_classes == class_id]
        scales[class_id] = float(np.median(of_class if len(of_class) else own[classes == class_id]))
    return {class_id: max(scale, 1e-12) for class_id, scale in scales.items()}


@dataclass(frozen=True, eq=False)
class ObjectDensityFilter:
    """Features ``real`` (R, D) of real crops with their ``classes`` (R,), the usual distance by class, a threshold.

    A class with no more than ``neighbours`` real crops is judged against the crops of all classes.
    """

    embedder: Embedder
    real: NDArray[np.float32]
    classes: NDArray[np.int64]
    scales: dict[int, float]
    neighbours: int
    side: int
    threshold: float
    allowed: int

    def scores(
        self,
        features: NDArray[np.float32],
        classes: NDArray[np.int64],
        *,
        exclude: NDArray[np.integer] | None = None,
    ) -> NDArray[np.float64]:
        """(M,) mean distance of crops (M, D) to the nearest real ones of their ``classes`` (M,), over the usual one.

        ``exclude`` (M,) names one real row for each that does not count: itself, if it is one.
        """
        scores = np.empty(len(features))
        for class_id in np.unique(classes).tolist():
            mine = np.flatnonzero(classes == class_id)
            pool = np.flatnonzero(self.classes == class_id)
            if len(pool) <= self.neighbours:
                pool = np.arange(len(self.real))
            banned = None if exclude is None else np.searchsorted(pool, exclude[mine])
            distances, _ = nearest(features[mine], self.real[pool], k=self.neighbours, exclude=banned)
            scores[mine] = distances.mean(axis=1) / self.scales.get(class_id, self._usual)
        return scores

    @property
    def thresholds(self) -> dict[str, float]:
        """Where the scores of :meth:`judge` are cut."""
        return {"farthest_object": self.threshold}

    def save(self, path: Path) -> None:
        """Everything but the embedder, as safetensors."""
        import torch

        scales = {f"{SCALE}{class_id}": scale for class_id, scale in self.scales.items()}
        tensors = {"real": torch.from_numpy(self.real), "classes": torch.from_numpy(self.classes)}
        save_tensors(path, tensors, {"format": JUDGE_FORMAT, "threshold": self.threshold, **scales})

    @property
    def _usual(self) -> float:
        """For a class that has no real crop: the largest of the other classes' usual distances."""
        return max(self.scales.values(), default=1.0)

    def object_scores(self, dataset: Dataset) -> NDArray[np.float64]:
        """(M,) score of every object of a dataset, in order; 0 for crowds, which are no single objects."""
        scores = np.zeros(int(dataset.object_counts().sum()))
        single = ~dataset.object_column("crowd").astype(bool)
        if single.any():
            scores[single] = self.scores(*embedded_crops(self.embedder, dataset, side=self.side))
        return scores

    def far_objects(self, sample: Sample) -> NDArray[np.bool_]:
        """(K,) which objects of a sample are farther than the threshold; crowds never are."""
        instances = objects_of(sample)
        far = np.zeros(len(instances), dtype=bool)
        single = np.flatnonzero(~instances.is_crowd)
        if len(single):
            batch = np.stack(list(object_crops(sample.pixels(), instances.take(single), side=self.side)))
            far[single] = (
                self.scores(embed_stream(self.embedder, [batch]), instances.class_ids[single]) > self.threshold
            )
        return far

    def judge(self, synthetic: Dataset) -> Judgement:
        """Score ``farthest_object`` (0 without objects); a picture with more far objects than allowed goes."""
        counts = synthetic.object_counts()
        scores, rows = self.object_scores(synthetic), np.repeat(np.arange(len(synthetic)), counts)
        farthest = np.zeros(len(synthetic))
        np.maximum.at(farthest, rows, scores)
        far = np.bincount(rows[scores > self.threshold], minlength=len(synthetic))
        reasons = tuple(
            f"{number} of {count} objects far from all real ones ({score:.2f}, threshold {self.threshold:.2f})"
            if number > self.allowed
            else None
            for number, count, score in zip(far.tolist(), counts.tolist(), farthest.tolist(), strict=True)
        )
        return Judgement({"farthest_object": farthest}, reasons)


@dataclass(frozen=True)
class DropBoxes:
    """Takes the labels of far objects away; the pixels stay, so that what is far becomes background."""

    fitted: ObjectDensityFilter

    def revise(self, sample: Sample) -> Sample:
        """The sample with near objects only; itself where all are near."""
        far = self.fitted.far_objects(sample)
        return without_objects(sample, far) if far.any() else sample


@dataclass(frozen=True)
class BlackBoxes:
    """Paints over far objects, with the picture's mean colour or black, and takes their labels away."""

    fitted: ObjectDensityFilter
    paint: Paint = "black"

    def revise(self, sample: Sample) -> Sample:
        """The sample with near objects only and nothing of the far ones to be seen; itself where all are near."""
        far = self.fitted.far_objects(sample)
        return painted_over(sample, far, paint=self.paint) if far.any() else sample


def without_objects(sample: Sample, gone: NDArray[np.bool_]) -> Sample:
    """The sample without the labels of the objects at which ``gone`` (K,) is true; its picture as it was.

    The attribute ``objects_far`` counts them.
    """
    assert sample.annotation is not None
    kept, annotation = objects_of(sample).take(~gone), sample.annotation
    attributes = {**annotation.attributes, "objects_far": int(gone.sum())}
    return replace(sample, annotation=replace(annotation, instances=kept, attributes=attributes))


def painted_over(sample: Sample, gone: NDArray[np.bool_], *, paint: Paint) -> Sample:
    """As :func:`without_objects`, these objects' boxes painted, but for pixels in masks of objects that stay.

    A semantic map says "ignore" there, depth and normals that there is nothing. Parents and the step are recorded in
    the origin; a revised real picture is no longer a real one.
    """
    instances, pixels = objects_of(sample), sample.pixels().copy()
    painted = np.zeros(instances.size, dtype=bool)
    for x1, y1, x2, y2 in crop_frames(instances.take(gone)):
        painted[y1:y2, x1:x2] = True
    for mask in instances.take(~gone).masks or ():
        if mask is not None:
            painted &= ~mask.dense()
    mean = np.rint(pixels.reshape(-1, pixels.shape[2]).mean(axis=0)).astype(np.uint8)
    pixels[painted] = mean if paint == "mean" else 0
    less = without_objects(sample, gone)
    assert less.annotation is not None
    depth, normals = uncovered_geometry(less.annotation, painted)
    semantic = _ignored(less.annotation, painted)
    annotation = replace(less.annotation, semantic=semantic, depth_metres=depth, normals=normals)
    return replace(
        less, image=pixels, path=None, sha256=None, annotation=annotation, origin=_origin(sample, "black-box")
    )


def _ignored(annotation: Annotation, painted: NDArray[np.bool_]) -> SemanticMap | None:
    if annotation.semantic is None:
        return None
    classes = annotation.semantic.dense().copy()
    classes[painted] = -1
    return SemanticMap.of(classes)


def _origin(sample: Sample, step: str) -> Origin:
    """Nothing is drawn in this step: a real parent's child has seed 0."""
    old = sample.origin
    method = "+".join(part for part in (old.method, step) if part)
    parents = old.parents if old.synthetic else old.parents or (sample.id,)
    return Origin(method, old.seed or 0, old.recipe_digest or "", parents, old.licence)


def embedded_crops(embedder: Embedder, dataset: Dataset, *, side: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (M, D) of the crops of all objects but crowds, in order, and their classes (M,); streamed."""
    single = ~dataset.object_column("crowd").astype(bool)
    classes = dataset.object_column("class_id").astype(np.int64)[single]
    if not len(classes):
        return np.empty((0, 0), dtype=np.float32), classes
    return embed_stream(embedder, crop_batches(dataset, side=side)), classes
