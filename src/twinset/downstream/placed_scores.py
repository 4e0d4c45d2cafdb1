"""From what detectors and segmenters found in the test images to the study's metric, under any weights of families.

The metric of detectors is mAP@50, the mean over classes of COCO's average precision at an overlap of one half: small
networks that learn in minutes find objects long before they outline them to the pixel, so that COCO's mean over
overlaps up to .95 would mostly measure the outline. It is told beside. Overlaps are those of boxes, or of masks where
these are what is learnt. The metric of segmenters is mIoU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.average_precision import Matches, match_detections
from twinset.downstream.arms import CellResult
from twinset.downstream.blind import blind_boxes, blind_map
from twinset.downstream.intervals import Judged, Resolution
from twinset.downstream.placed_cells import found_digest, read_found
from twinset.downstream.placed_data import PlacedData
from twinset.downstream.summary import Details, Sizes
from twinset.errors import RunFolderError
from twinset.instances import Instances
from twinset.pixel_scores import PixelScores, resampled
from twinset.store import write_bytes

DRAWS = 1000
"""Draws of test families. Each costs an average precision of every run; intervals move by some hundredths of their
width between 1,000 and 4,000."""

FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


@dataclass(frozen=True, eq=False)
class PlacedStudy:
    """A study's data with the folder where its cells left what they found; ``masks``: objects are judged by masks.

    Detections of a run are matched with the test images' objects once, and kept by the digest of their file.
    """

    data: PlacedData
    cells: Path
    masks: bool = False
    _matched: dict[str, Matches] = field(default_factory=dict, init=False, repr=False)

    @property
    def metric(self) -> str:
        """What is measured, 0…1."""
        if self.data.kind == "pixels":
            return "mIoU"
        return "mask mAP@50" if self.masks else "mAP@50"

    @property
    def sizes(self) -> Sizes:
        """Images of one subset, and of the parts that all share."""
        data = self.data
        return Sizes(
            train=len(data.rows("train", 0)),
            synthetic=len(data.rows("synthetic", 0)),
            validation=len(data.validation),
            test=len(data.test),
            test_families=len(np.unique(data.test_families)),
        )

    @property
    def blind(self) -> float:
        """What boxes or maps score that are the same in every test image."""
        data = self.data
        if data.kind == "objects":
            return blind_boxes(data.instances("validation"), data.instances("test"), n_classes=data.n_classes)
        return blind_map(data.maps("validation"), data.maps("test"), n_classes=data.n_classes)

    def judged(self, runs: Sequence[CellResult]) -> Judged:
        """The metric of these runs under weights of test families; NaN in draws that show nothing to find."""
        _, family = np.unique(self.data.test_families, return_inverse=True)
        resolution = self._resolution()
        if self.data.kind == "objects":
            matches = self._matches(runs)

            def of_objects(weights: NDArray[np.float64]) -> NDArray[np.float64]:
                counts = weights[:, family].astype(np.int64)
                return np.stack([match.resampled(counts, figure="ap50") for match in matches], axis=1)

            return Judged(of_objects, resolution.families, resolution.weight, DRAWS)
        confusions = [self._confusions(run) for run in runs]

        def of_pixels(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            counts = weights[:, family].astype(np.int64)
            return np.stack([resampled(each, counts) for each in confusions], axis=1)

        return Judged(of_pixels, resolution.families, resolution.weight, DRAWS)

    def details(self, runs: Sequence[CellResult]) -> Details:
        """COCO's figures by class and size of object, or IoU, Dice and accuracy; means over runs."""
        if self.data.kind == "objects":
            found = [matches.average_precision() for matches in self._matches(runs)]
            figures = {name: float(np.mean([getattr(one, name) for one in found])) for name in FIGURES}
            per_class = np.mean([one.class_ap50 for one in found], axis=0)
            return Details(_defined(figures), "ap50_by_class", _or_none(per_class))
        scores = [PixelScores.of(self._confusions(run)) for run in runs]
        figures = {
            "dice": float(np.mean([one.mean_dice for one in scores])),
            "accuracy": float(np.mean([one.pixel_accuracy for one in scores])),
        }
        return Details(figures, "iou_by_class", _or_none(np.mean([one.iou for one in scores], axis=0)))

    def file(self, run: CellResult) -> Path:
        """Where a run left what it found; :class:`RunFolderError` if it is gone or is no longer that."""
        path = found_path(self.cells, run.cell.key, self.data)
        hint = f"delete {run.cell.key}.json beside it: its training is done again"
        try:
            found = found_digest(path)
        except OSError as error:
            raise RunFolderError(
                f"{path}: expected what this training found; got {error.strerror}", hint=hint
            ) from error
        if found != run.found:
            raise RunFolderError(f"{path}: expected what this training found; got another content", hint=hint)
        return path

    def bring(self, run: CellResult, cells: Path) -> bool:
        """Copies what a run of another study left in the folder ``cells``; False if it is gone or is no longer that."""
        place = found_path(cells, run.cell.key, self.data)
        try:
            found = place.read_bytes()
        except OSError:
            return False
        if hashlib.sha256(found).hexdigest() != run.found:
            return False
        write_bytes(found_path(self.cells, run.cell.key, self.data), found)
        return True

    def _matches(self, runs: Sequence[CellResult]) -> list[Matches]:
        truth: list[Instances] = []
        for run in runs:
            if run.found not in self._matched:
                truth = truth or self.data.instances("test")
                self._matched[run.found] = self._match(truth, read_found(self.file(run)))
        return [self._matched[run.found] for run in runs]

    def _match(self, truth: Sequence[Instances], found: Sequence[Instances]) -> Matches:
        kind: Literal["boxes", "masks"] = "masks" if self.masks else "boxes"
        return match_detections(truth, found, n_classes=self.data.n_classes, kind=kind, ignore_difficult=True)

    def _confusions(self, run: CellResult) -> NDArray[np.int64]:
        from safetensors.numpy import load_file

        confusions: NDArray[np.int64] = load_file(self.file(run))["confusions"]
        if len(confusions) != len(self.data.test):
            raise ValueError(f"expected predictions for {len(self.data.test)} test images; got {len(confusions)}")
        return confusions

    def _resolution(self) -> Resolution:
        """What one family is worth: by its objects of each class, or by the classes that its pictures show."""
        if self.data.kind == "objects":
            shown = [np.unique(one.class_ids) for one in self.data.instances("test")]
        else:
            shown = [np.unique(one[one >= 0]) for one in self.data.maps("test")]
        labels = np.concatenate(shown).astype(np.int64)
        families = np.repeat(self.data.test_families, [len(one) for one in shown])
        return Resolution.of(labels, families, n_families=len(np.unique(self.data.test_families)))


def found_path(cells: Path, key: str, data: PlacedData) -> Path:
    """The file of what a cell found, beside its result."""
    return cells / f"{key}.{'parquet' if data.kind == 'objects' else 'safetensors'}"


def _defined(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _or_none(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
