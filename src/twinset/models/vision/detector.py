"""A trained detector of torchvision or transformers: pictures in, instances in the pixels of their originals out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from twinset.images import PixelBatch, to_model
from twinset.instances import Instances
from twinset.models.checkpoint import Record, load_model, save_tensors, whole_numbers
from twinset.models.detection import Scenes
from twinset.models.vision.masks import masks_in_original
from twinset.models.vision.models import DetectionModel, Found, seeded
from twinset.models.vision.settings import VisionDetectorSettings
from twinset.models.vision.torchvision_detectors import TorchvisionDetector, build_torchvision
from twinset.models.vision.transformer_detectors import TransformerDetector, build_transformer
from twinset.randomness import Stream

FORMAT = "twinset-vision-detector/1"


@dataclass(frozen=True, eq=False)
class VisionDetector:
    """A trained network with what is needed to build it again; ``shape`` (H, W, C) is that of its scenes."""

    network: nn.Module
    settings: VisionDetectorSettings
    shape: tuple[int, int, int]
    n_classes: int
    config: str = ""

    def predict(self, scenes: Scenes) -> list[Instances]:
        """For every picture its objects with confidences, best first, in pixels of its original; labels are not read.

        Mask R-CNN gives masks too. ``ValueError`` for scenes of another shape.
        """
        if scenes.images.shape[1:] != self.shape:
            raise ValueError(f"expected scenes of {self.shape}; got {scenes.images.shape[1:]}; prepare them at that")
        model = model_of(self.network.eval(), self.settings)
        found = []
        for row in range(len(scenes)):
            with torch.inference_mode():
                (objects,) = model.detect(unit_pictures(scenes.images[row : row + 1]))
            found.append(_in_original(scenes, row, objects))
        return found

    def save(self, path: Path) -> None:
        """Writes one safetensors file; what the network is like stands in its header."""
        height, width, channels = self.shape
        record: Record = {"format": FORMAT, "name": self.settings.name, "config": self.config}
        record |= {"height": height, "width": width, "channels": channels, "n_classes": self.n_classes}
        record |= {"score_threshold": self.settings.score_threshold, "most_objects": self.settings.most_objects}
        # Copies, because safetensors refuses tensors that a network holds under several names.
        save_tensors(path, {key: value.clone() for key, value in self.network.state_dict().items()}, record)

    @staticmethod
    def load(path: Path) -> VisionDetector:
        """The detector that :meth:`save` wrote; ``ValueError`` for a file of another kind.

        Of the settings only the name and the limits on predictions are those of the training.
        """
        tensors, record = load_model(path, format=FORMAT)
        names = ("height", "width", "channels", "n_classes", "most_objects")
        height, width, channels, n_classes, most_objects = whole_numbers(record, *names)
        settings = VisionDetectorSettings(
            name=str(record["name"]),  # type: ignore[arg-type]
            score_threshold=float(record["score_threshold"] or 0),
            most_objects=most_objects,
        )
        config = str(record["config"])
        with seeded(Stream(0)):
            if settings.is_transformer:
                name, size = settings.name, (height, width)
                network = build_transformer(name, config, n_classes=n_classes, size=size)  # type: ignore[arg-type]
            else:
                network = build_torchvision(settings, n_classes=n_classes, size=(height, width))
        network.load_state_dict(tensors)
        return VisionDetector(network.eval(), settings, (height, width, channels), n_classes, config)


def model_of(network: nn.Module, settings: VisionDetectorSettings) -> DetectionModel:
    """The network behind the face that all detectors share."""
    if settings.is_transformer:
        return TransformerDetector(
            network, score_threshold=settings.score_threshold, most_objects=settings.most_objects
        )
    return TorchvisionDetector(network)


def unit_pictures(images: PixelBatch) -> torch.Tensor:
    """uint8 (N, H, W, C) to float32 (N, 3, H, W) in [0, 1]; grey is repeated."""
    pictures = (to_model(images) + 1) / 2
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures


def _in_original(scenes: Scenes, row: int, found: Found) -> Instances:
    """Clipped to the original; what lies outside goes."""
    height, width = scenes.sizes[row].tolist()
    limits = np.array([width, height, width, height], dtype=np.float32)
    clipped = np.clip(scenes.to_original(row, found.boxes.numpy()), 0, limits)
    inside = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(1))
    masks = None
    if found.masks is not None:
        masks = masks_in_original(scenes, row, found.masks[torch.from_numpy(inside)])
    scores = found.scores.numpy().astype(np.float32)
    return Instances(
        (height, width), found.class_ids.numpy()[inside], clipped[inside], masks, confidences=scores[inside]
    )
