"""The data of a utility study, and running one cell of it: a pure function of data, plan and cell."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.downstream.arms import Cell, CellResult, StudySettings, UtilityPlan
from twinset.downstream.blind import blind_accuracy
from twinset.downstream.intervals import Judged, judged_labels
from twinset.downstream.summary import Details, Sizes
from twinset.images import PixelBatch
from twinset.label_scores import balanced_accuracy, macro_f1, recall_per_class
from twinset.models.classical import augmentation
from twinset.models.classifier import ClassifierSettings, fit_classifier
from twinset.randomness import Stream
from twinset.stages import Progress, silent
from twinset.store import read_json, write_bytes

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class UtilityData:
    """Images uint8 (N, H, W, C) of one size with labels; nothing here is ever trained on but train and synthetic.

    ``synthetic_targets`` is int (N,) or float (N, K) soft labels. ``test_families`` (N,) says which test images
    belong together. ``train_subset`` and ``synthetic_subset``, bool (subsets, N), choose the images of each few-shot
    draw: a subset sees only the synthetic images that were made from it.
    """

    n_classes: int
    train_images: PixelBatch
    train_labels: Labels
    validation_images: PixelBatch
    validation_labels: Labels
    test_images: PixelBatch
    test_labels: Labels
    test_families: Labels
    synthetic_images: PixelBatch
    synthetic_targets: NDArray[np.int64] | NDArray[np.float32]
    train_subset: NDArray[np.bool_] | None = None
    synthetic_subset: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if not len(images) or len(images) != len(labels):
                raise ValueError(f"expected {part} images with a label each; got {len(images)} and {len(labels)}")
            if labels.min() < 0 or labels.max() >= self.n_classes:
                raise ValueError(f"expected {part} labels in 0…{self.n_classes - 1}; got up to {labels.max()}")
        if len(self.synthetic_images) != len(self.synthetic_targets) or len(self.test_families) != len(
            self.test_labels
        ):
            raise ValueError("expected a target for each synthetic image and a family for each test image")
        sizes = {getattr(self, f"{part}_images").shape[1:] for part in ("train", "validation", "test", "synthetic")}
        if len(sizes) != 1:
            raise ValueError(f"expected all images of one size; got {sorted(sizes)}; prepare them with one ImageSpec")
        subsets = {len(choice) for choice in (self.train_subset, self.synthetic_subset) if choice is not None}
        if len(subsets) > 1 or (self.synthetic_subset is not None and self.train_subset is None):
            raise ValueError("expected as many synthetic subsets as training subsets")

    @property
    def subsets(self) -> int:
        """How many few-shot draws there are; 1 when the whole training set is used."""
        return 1 if self.train_subset is None else len(self.train_subset)

    def training(self, subset: int) -> tuple[PixelBatch, Labels]:
        """Real training images and labels of one subset."""
        keep = slice(None) if self.train_subset is None else self.train_subset[subset]
        return self.train_images[keep], self.train_labels[keep]

    def synthetic(self, subset: int) -> tuple[PixelBatch, NDArray[np.int64] | NDArray[np.float32]]:
        """Synthetic images and targets of one subset."""
        keep = slice(None) if self.synthetic_subset is None else self.synthetic_subset[subset]
        return self.synthetic_images[keep], self.synthetic_targets[keep]

    @property
    def metric(self) -> str:
        """Balanced accuracy."""
        return "balanced accuracy"

    @property
    def sizes(self) -> Sizes:
        """Images of one subset, and of the parts that all share."""
        return Sizes(
            train=len(self.training(0)[0]),
            synthetic=len(self.synthetic(0)[0]),
            validation=len(self.validation_labels),
            test=len(self.test_labels),
            test_families=len(np.unique(self.test_families)),
        )

    @property
    def blind(self) -> float:
        """Balanced accuracy of one class for all test images."""
        return blind_accuracy(self.test_labels)

    def judged(self, runs: Sequence[CellResult]) -> Judged:
        """Balanced accuracy of these runs; ``ValueError`` if they predicted another test set."""
        lengths = {(len(run.validation_predictions), len(run.test_predictions)) for run in runs}
        if lengths - {(len(self.validation_labels), len(self.test_labels))}:
            raise ValueError(f"expected predictions for this validation and test set; got lengths {sorted(lengths)}")
        correct = np.array([np.array(run.test_predictions) == self.test_labels for run in runs])
        return judged_labels(correct, labels=self.test_labels, families=self.test_families)

    def details(self, runs: Sequence[CellResult]) -> Details:
        """Accuracy, macro F1, and recall by class."""
        predicted, labels = [np.array(run.test_predictions) for run in runs], self.test_labels
        recalls = np.mean([recall_per_class(run, labels, self.n_classes) for run in predicted], axis=0)
        figures = {
            "accuracy": float(np.mean([(run == labels).mean() for run in predicted])),
            "macro_f1": float(np.mean([macro_f1(run, labels) for run in predicted])),
        }
        recall = tuple(None if np.isnan(value) else float(value) for value in recalls)
        return Details(figures, "recall", recall, tuple(tuple((run == labels).tolist()) for run in predicted))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All arrays by field name, contiguous, for one safetensors file."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "n_classes"}
        return {name: np.ascontiguousarray(array) for name, array in values.items() if array is not None}

    def digest(self) -> str:
        """sha256 over all arrays."""
        return self._digest(self.arrays())

    def real_digest(self) -> str:
        """sha256 over all arrays but those of the synthetic images."""
        return self._digest({name: array for name, array in self.arrays().items() if not name.startswith("synthetic")})

    def _digest(self, arrays: Mapping[str, NDArray[np.generic]]) -> str:
        total = hashlib.sha256(str(self.n_classes).encode())
        for name, array in arrays.items():
            total.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        return total.hexdigest()

    def save(self, path: Path) -> None:
        """Writes one safetensors file, for worker processes."""
        from safetensors.numpy import save

        write_bytes(path, save(self.arrays(), metadata={"n_classes": str(self.n_classes)}))

    @staticmethod
    def load(path: Path) -> UtilityData:
        """The data that :meth:`save` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return UtilityData(n_classes=int(file.metadata()["n_classes"]), **arrays)


def study_digest(plan: UtilityPlan[StudySettings], data_digest: str) -> str:
    """What a cell's result depends on besides the cell; results of different studies never mix."""
    text = json.dumps(plan.to_dict(), sort_keys=True)
    return hashlib.sha256(f"{text}\n{data_digest}".encode()).hexdigest()[:16]


def committed(folder: Path) -> Iterator[CellResult]:
    """The results that lie in a folder of cells; a damaged one is a :class:`RunFolderError`."""
    for path in sorted(folder.glob("*.json")):
        values = read_json(path, hint="delete this file: its training is done again")
        yield CellResult.from_json(cast("dict[str, object]", values))


def run_cell(
    cell: Cell,
    data: UtilityData,
    *,
    plan: UtilityPlan[ClassifierSettings],
    study: str | None = None,
    progress: Progress = silent,
) -> CellResult:
    """Trains the cell's classifier on one thread and predicts validation and test images.

    Equal data, plan and cell give equal predictions. All recipes of one subset and seed share their stream:
    first weights, order of the real images and augmentation draws. ``study`` is :func:`study_digest`, computed
    here unless the caller has it.
    """
    study = study or study_digest(plan, data.digest())
    images, targets, source = _training_set(cell, data)
    settings = replace(
        plan.settings,
        augmentation=augmentation(cell.recipe.strength, flip=plan.flip),
        synthetic_share=cell.recipe.share,
    )
    started = time.perf_counter()
    with _one_thread():
        classifier = fit_classifier(
            images,
            targets,
            n_classes=data.n_classes,
            settings=settings,
            rng=Stream(plan.seed).child("utility", cell.subset, cell.seed),
            source=source,
            progress=progress,
        )
        validation = classifier.logits(data.validation_images)
        test = classifier.logits(data.test_images)
    return CellResult(
        cell=cell,
        study=study,
        validation_score=balanced_accuracy(validation.argmax(1), data.validation_labels),
        validation_loss=_balanced_loss(validation, data.validation_labels),
        seconds=time.perf_counter() - started,
        validation_predictions=tuple(validation.argmax(1).tolist()),
        test_predictions=tuple(test.argmax(1).tolist()),
    )


def _training_set(
    cell: Cell, data: UtilityData
) -> tuple[PixelBatch, NDArray[np.int64] | NDArray[np.float32], NDArray[np.int64]]:
    """Images, targets (soft if any is) and source (0 real, 1 synthetic) of a cell."""
    real, labels = data.training(cell.subset)
    synthetic, targets = data.synthetic(cell.subset)
    share = cell.recipe.share
    if (share < 1 and not len(real)) or (share > 0 and not len(synthetic)):
        raise ValueError(f"expected real and synthetic images for {cell.key}; got {len(real)} and {len(synthetic)}")
    if share == 0:
        return real, labels, np.zeros(len(real), dtype=np.int64)
    if share == 1:
        return synthetic, targets, np.ones(len(synthetic), dtype=np.int64)
    source = np.repeat(np.array([0, 1]), [len(real), len(synthetic)])
    images = np.concatenate([real, synthetic])
    if targets.ndim == 1:
        return images, np.concatenate([labels, targets.astype(np.int64)]), source
    one_hot = np.eye(data.n_classes, dtype=np.float32)[labels]
    return images, np.concatenate([one_hot, targets.astype(np.float32)]), source


def _balanced_loss(logits: NDArray[np.float32], labels: Labels) -> float:
    """Mean over classes of the mean cross-entropy in nats."""
    wide = logits.astype(np.float64)
    wide -= wide.max(1, keepdims=True)
    losses = np.log(np.exp(wide).sum(1)) - wide[np.arange(len(labels)), labels]
    return float(np.mean([losses[labels == class_id].mean() for class_id in np.unique(labels)]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums on one thread have one order, so predictions do not depend on how many cores a worker has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
