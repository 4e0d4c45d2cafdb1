"""A trained detector: pictures in, instances in the pixels of their originals out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.images import PixelBatch
from twinset.instances import Instances
from twinset.models.checkpoint import load_model, save_tensors, whole_numbers
from twinset.models.detection.boxes import cell_centres, decode_boxes
from twinset.models.detection.network import DetectionNetwork, Stride, new_network, to_network
from twinset.models.detection.scenes import Scenes

FORMAT = "twinset-detector/1"
EVALUATION_BATCH = 8
MOST_OBJECTS = 100
FLOOR = 0.01
"""Detections with less confidence are left out."""

SAME_OBJECT = 0.6
"""Of two boxes of one class that overlap (IoU) by more, the more confident stays."""


@dataclass(frozen=True)
class _Header:
    """What is needed to build the network again and to read its boxes."""

    channels: int
    n_classes: int
    width: int
    stride: int
    unit: float


class Detector:
    """A trained network. ``unit`` is the length, in pixels, in which it measures boxes."""

    def __init__(
        self, network: DetectionNetwork, *, channels: int, n_classes: int, width: int, stride: Stride, unit: float
    ) -> None:
        self.network = network
        self.stride = stride
        self._header = _Header(channels, n_classes, width, stride, unit)

    @property
    def n_classes(self) -> int:
        """How many classes it knows."""
        return self._header.n_classes

    def predict(self, scenes: Scenes) -> list[Instances]:
        """For every picture at most 100 objects with confidences from .01, best first, in pixels of its original.

        The labels of ``scenes`` are not read. Pictures may have another size than those that it was trained on.
        """
        if scenes.images.shape[3] != self._header.channels:
            raise ValueError(f"expected {self._header.channels} channels; got {scenes.images.shape[3]}")
        found: list[Instances] = []
        for start in range(0, len(scenes), EVALUATION_BATCH):
            part = scenes.images[start : start + EVALUATION_BATCH]
            for offset, (boxes, class_ids, scores) in enumerate(self._detect(part)):
                found.append(_in_original(scenes, start + offset, boxes, class_ids, scores))
        return found

    def _detect(self, images: PixelBatch) -> list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]]:
        """Boxes (K, 4) in pixels of the network, class ids and confidences of each of at most 8 pictures."""
        # One batch shape for all, so that a picture's numbers do not depend on how many come with it.
        padded = np.zeros((EVALUATION_BATCH, *images.shape[1:]), dtype=np.uint8)
        padded[: len(images)] = images
        with torch.inference_mode():
            logits, raw = self.network(to_network(padded, torch.device("cpu")))
            rows, columns = raw.shape[2:]
            centres = cell_centres(rows, columns, self.stride, raw.device).flatten(1)
            boxes = decode_boxes(raw.flatten(2), centres, self._header.unit).transpose(1, 2)
            scores = logits.sigmoid()
            peaks = torch.where(functional.max_pool2d(scores, 3, 1, 1) == scores, scores, 0.0).flatten(2)
            return [_distinct(peaks[i], boxes[i]) for i in range(len(images))]

    def save(self, path: Path) -> None:
        """Writes one safetensors file; what the network is like stands in its header."""
        save_tensors(path, self.network.state_dict(), {"format": FORMAT, **asdict(self._header)})

    @staticmethod
    def load(path: Path) -> Detector:
        """The detector that :meth:`save` wrote; ``ValueError`` for a file of another kind, :class:`RunFolderError` for
        a damaged one.
        """
        tensors, record = load_model(path, format=FORMAT)
        channels, n_classes, width, stride = whole_numbers(record, "channels", "n_classes", "width", "stride")
        shape = {"channels": channels, "n_classes": n_classes, "width": width}
        network = new_network(**shape, stride=cast(Stride, stride), generator=torch.Generator().manual_seed(0))
        network.load_state_dict(tensors)
        unit = float(record["unit"] or 0)
        return Detector(network.eval(), **shape, stride=cast(Stride, stride), unit=unit)


def _distinct(
    peaks: torch.Tensor, boxes: torch.Tensor
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Of peaks (n_classes, cells) and boxes (cells, 4): the best, one an object, by falling confidence."""
    from torchvision.ops import batched_nms

    scores, places = peaks.flatten().topk(min(4 * MOST_OBJECTS, peaks.numel()))
    places = places[scores >= FLOOR]
    scores = scores[scores >= FLOOR]
    class_ids, cells = places // peaks.shape[1], places % peaks.shape[1]
    kept = batched_nms(boxes[cells], scores, class_ids, SAME_OBJECT)[:MOST_OBJECTS]
    return boxes[cells][kept].numpy(), class_ids[kept].numpy(), scores[kept].numpy()


def _in_original(
    scenes: Scenes,
    index: int,
    boxes: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> Instances:
    """Clipped to the original; what lies outside goes."""
    height, width = scenes.sizes[index].tolist()
    limits = np.array([width, height, width, height], dtype=np.float32)
    clipped = np.clip(scenes.to_original(index, boxes), 0, limits)
    inside = (clipped[:, 2:] > clipped[:, :2]).all(1)
    return Instances((height, width), class_ids[inside], clipped[inside], confidences=scores[inside])
