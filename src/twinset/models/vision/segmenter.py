"""torchvision's LR-ASPP (Howard et al. 2019) and DeepLabV3 (Chen et al. 2017) on MobileNetV3, for pixel scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from twinset.models.checkpoint import Record, load_model, save_tensors, whole_numbers
from twinset.models.segmentation import PixelScenes
from twinset.models.segmentation.sampling import batch_rows, draw_batch, pixels_by_class
from twinset.models.segmentation.segmenter import predicted_maps
from twinset.models.segmentation.settings import PixelTrainingSettings
from twinset.models.segmentation.training import segmentation_loss
from twinset.models.vision.models import freeze_norms, seeded
from twinset.models.vision.optimising import Optimisation
from twinset.models.vision.weights import check_file, fill, read_weights
from twinset.randomness import Stream
from twinset.stages import Progress, silent

FORMAT = "twinset-vision-segmenter/1"
BACKBONE = "mobilenet_v3_large"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VisionSegmenterName = Literal["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"]
NAMES: tuple[str, ...] = get_args(VisionSegmenterName)
HEADS = ("classifier.low_classifier.", "classifier.high_classifier.", "classifier.4.")
"""Tensors whose shape depends on the number of classes."""


@dataclass(frozen=True)
class VisionSegmenterSettings(PixelTrainingSettings):
    """How to train a segmenter of torchvision.

    ``weights``: a safetensors file of torchvision's segmenter; ``backbone``: one of its MobileNetV3-Large classifier.
    Without either, training begins from scratch; with one of them batch norms are frozen.
    """

    learning_rate: float = 1e-3
    name: VisionSegmenterName = "lraspp_mobilenet_v3_large"
    weights: str | None = None
    backbone: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in NAMES:
            raise ValueError(f"expected a segmenter out of {', '.join(NAMES)}; got {self.name!r}")
        if self.weights is not None and self.backbone is not None:
            raise ValueError(f"expected weights or a backbone; got both: {self.weights!r}, {self.backbone!r}")
        if self.batch < 2 and self.weights is None and self.backbone is None:
            raise ValueError(f"expected batch ≥ 2, which batch norms need; got {self.batch}")

    def check(self) -> None:
        """Raises :class:`MissingModelError`, in no time, if the files that it begins with are not there."""
        if self.weights is not None:
            check_file(Path(self.weights), self.name)
        if self.backbone is not None:
            check_file(Path(self.backbone), BACKBONE)


class ImageNetLogits(nn.Module):
    """A network of torchvision that takes float32 (N, C, H, W) in [-1, 1] and gives logits (N, K, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Grey is repeated; colours are scaled as torchvision's weights expect them."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        out: torch.Tensor = self.network(((x.expand(-1, 3, -1, -1) + 1) / 2 - mean) / std)["out"]
        return out


@dataclass(frozen=True, eq=False)
class VisionSegmenter:
    """A trained network with the shape (H, W, C) of the scenes that it takes."""

    network: ImageNetLogits
    name: VisionSegmenterName
    shape: tuple[int, int, int]
    n_classes: int

    def predict(self, scenes: PixelScenes) -> list[NDArray[np.int32]]:
        """int32 (H, W) class ids of every scene, in its original size; the logits are interpolated, not the classes."""
        return predicted_maps(self.network, scenes, self.shape)

    def save(self, path: Path) -> None:
        """Writes one safetensors file; what the network is like stands in its header."""
        height, width, channels = self.shape
        record: Record = {"format": FORMAT, "name": self.name, "n_classes": self.n_classes}
        record |= {"height": height, "width": width, "channels": channels}
        save_tensors(path, self.network.state_dict(), record)

    @staticmethod
    def load(path: Path) -> VisionSegmenter:
        """The segmenter that :meth:`save` wrote; ``ValueError`` for a file of another kind."""
        tensors, record = load_model(path, format=FORMAT)
        name: VisionSegmenterName = str(record["name"])  # type: ignore[assignment]
        height, width, channels, n_classes = whole_numbers(record, "height", "width", "channels", "n_classes")
        with seeded(Stream(0)):
            network = _build(name, n_classes)
        network.load_state_dict(tensors)
        return VisionSegmenter(network.eval(), name, (height, width, channels), n_classes)


def fit_vision_segmenter(
    scenes: PixelScenes,
    *,
    n_classes: int,
    settings: VisionSegmenterSettings,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    progress: Progress = silent,
) -> VisionSegmenter:
    """A segmenter trained for ``settings.steps`` steps; arguments and errors as those of ``fit_segmenter``.

    Raises :class:`MissingModelError` for weights that are not on this machine.
    """
    settings.check()
    schedule = batch_rows(pixels_by_class(scenes, n_classes), source, settings, rng.child("batches"))
    with seeded(rng.child("weights")):
        network = _start(settings, n_classes)
    network.train()
    if settings.weights is not None or settings.backbone is not None:
        freeze_norms(network)
    descent = Optimisation(
        network, steps=settings.steps, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    for step, (rows, classes) in enumerate(schedule):
        images, maps = draw_batch(scenes, rows, classes, settings, rng.child("step", step))
        # Dropout draws from the global generator.
        with seeded(rng.child("dropout", step)):
            descent.advance(segmentation_loss(network(images), maps, dice_share=settings.dice_share))
        if step % 20 == 19 or step + 1 == settings.steps:
            progress(step + 1, settings.steps, "segmenter")
    averaged = descent.averaged.eval()
    assert isinstance(averaged, ImageNetLogits)
    return VisionSegmenter(averaged, settings.name, scenes.shape, n_classes)


def _build(name: VisionSegmenterName, n_classes: int) -> ImageNetLogits:
    from torchvision.models import segmentation

    constructors = {
        "lraspp_mobilenet_v3_large": segmentation.lraspp_mobilenet_v3_large,
        "deeplabv3_mobilenet_v3_large": segmentation.deeplabv3_mobilenet_v3_large,
    }
    return ImageNetLogits(constructors[name](weights=None, weights_backbone=None, num_classes=n_classes))


def _start(settings: VisionSegmenterSettings, n_classes: int) -> ImageNetLogits:
    """The network that training begins with: new, or filled from the file that the settings name."""
    network = _build(settings.name, n_classes)
    if settings.weights is not None:
        path = Path(settings.weights)
        fill(network.network, read_weights(path, settings.name), path=path, name=settings.name, heads=HEADS)
    if settings.backbone is not None:
        path = Path(settings.backbone)
        tensors = {key.removeprefix("features."): value for key, value in read_weights(path, BACKBONE).items()}
        fill(network.network.get_submodule("backbone"), tensors, path=path, name=BACKBONE, heads=())
    return network
